#!/bin/sh
# Unpack FOLDER/.archive as FOLDER/VERSION, whole or not at all.
# usage: unpack.sh FOLDER VERSION SHA256 STRIP OWNER KEEP
set -eu
folder=$1 version=$2 sha256=$3 strip=$4 owner=$5 keep=$6
cd "$folder"

# A run that was cut off may have left this at work.
exec 9< .
flock 9
[ ! -e "$version" ] || exit 0

if ! echo "$sha256  .archive" | sha256sum --check --status; then
    rm .archive
    echo "The archive arrived damaged in $folder: check this server's disk and memory, then run again." >&2
    exit 1
fi

rm -rf .unpacking
mkdir .unpacking
tar --extract --file .archive --directory .unpacking --strip-components "$strip" --no-same-owner
chown -R "$owner:" .unpacking
chmod -R u+rwX,go+rX,go-w .unpacking
rm .archive

# The versions longest out of use go, never the one in use.
ls -1t | grep -vxF -e current -e "$(readlink current)" | tail -n "+$((keep - 1))" | xargs -r -d '\n' rm -rf

# After a power cut the name must not be there without the content.
sync -f .unpacking
mv .unpacking "$version"
