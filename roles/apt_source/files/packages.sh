#!/bin/sh
# An application's packages from its vendor's apt repository, which is named in /etc/apt/sources.list.d/SOURCE.sources.
# usage: packages.sh fetch|install FOLDER APPLICATION SOURCE PACKAGE=VERSION...
#        packages.sh remove FOLDER APPLICATION SOURCE PACKAGE...
set -eu
do=$1 folder=$2/$3 application=$3 source=$4
shift 4
export DEBIAN_FRONTEND=noninteractive
apt="apt-get -qq -o DPkg::Lock::Timeout=300"

# Say which file PACKAGE=VERSION is; apt writes a colon in a version as %3a.
file() {
    version=$(echo "${1#*=}" | sed 's/:/%3a/g')
    ls "$folder/${1%%=*}_${version}_"*.deb 2>/dev/null || true
}

# What is half there from a run that was cut off goes through apt's own check again.
fetch() {
    [ -z "$(file "$1")" ] || return 0
    # Without its own word apt goes on with lists of yesterday where a signature is not right.
    [ -n "${fresh:-}" ] || $apt update >&2 -o APT::Update::Error-Mode=any -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 \
        -o "Dir::Etc::sourcelist=sources.list.d/$source.sources"
    fresh=yes
    rm -rf "$folder/.coming"
    mkdir -p "$folder/.coming"
    # The one that downloads for apt writes here.
    chmod 0711 "$folder" "$folder/.coming"
    ! getent passwd _apt >/dev/null || chown _apt "$folder/.coming"
    (cd "$folder/.coming" && $apt download "$1" >&2)
    # By when it came here, not by when it was published.
    touch "$folder/.coming/"*.deb
    sync -f "$folder/.coming"
    mv "$folder/.coming/"*.deb "$folder/"
    rm -rf "$folder/.coming"
    echo "fetched $1"
}

# The version that is installed and this one are kept; the way back needs no network.
tidy() {
    name=${1%%=*}
    ls -1t "$folder/$name"_*.deb | tail -n +3 | xargs -r -d '\n' rm -f
}

case $do in
    fetch)
        for wanted in "$@"; do fetch "$wanted"; done
        ;;
    install)
        files=
        for wanted in "$@"; do
            fetch "$wanted"
            files="$files $(file "$wanted")"
        done
        dpkg --configure --pending
        # No quotes: neither a package nor a version has spaces. A configuration file of the vendor's that somebody
        # changed stays; one that went with an earlier removal comes back.
        $apt --no-install-recommends --allow-downgrades -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
            -o Dpkg::Options::=--force-confmiss install $files
        for wanted in "$@"; do tidy "$wanted"; done
        ;;
    remove)
        for name in "$@"; do
            # Not purged: what a vendor deletes then may be the school's data.
            if dpkg-query --show --showformat='${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^.[^nc]'; then
                $apt remove "$name" >/dev/null
                echo "removed $name"
            fi
            # Its configuration is nobody's data; an installation brings it back.
            dpkg-query --show --showformat='${Conffiles}\n' "$name" 2>/dev/null | while read -r path _; do
                [ ! -e "$path" ] || { rm -f "$path" "$path".dpkg-*; rmdir --ignore-fail-on-non-empty "${path%/*}"; echo "removed $path"; }
            done
        done
        gone="$folder /etc/apt/preferences.d/$application.pref /etc/dpkg/dpkg.cfg.d/$application"
        # The last that uses the repository takes it along.
        grep -lxs "# Source: $source" /etc/apt/preferences.d/*.pref | grep -qvx "/etc/apt/preferences.d/$application.pref" ||
            gone="$gone /etc/apt/sources.list.d/$source.sources /etc/apt/keyrings/$source.asc"
        # No quotes: none of these has spaces.
        for path in $gone; do
            [ ! -e "$path" ] || { rm -rf "$path"; echo "removed $path"; }
        done
        ;;
esac
