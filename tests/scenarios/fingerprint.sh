# What a finished server looks like, a line per fact, without what differs between any two servers.
# Printed by the server itself; two servers made from the same inventory must print the same.
set -eu
export LC_ALL=C

# Configuration: every file with its owner, mode and content; of files that hold keys or host names, only that they exist.
find /etc /usr/local -xdev -type f \
    ! -path '/etc/ssh/ssh_host_*' ! -name machine-id ! -name hostname ! -name hosts ! -name 'resolv.conf' \
    ! -name '*-' ! -name passwd ! -name group ! -name shadow ! -name gshadow ! -name subuid ! -name subgid \
    ! -name '*.cache' ! -path '/etc/network*' ! -path '/etc/systemd/network/*' ! -name '.pwd.lock' \
    ! -name '__pycache__' ! -name '*.pyc' ! -path '/etc/ssl/certs/*' ! -path '/etc/alternatives/*' -print0 | sort -z |
while IFS= read -r -d '' file; do
    case $file in
        *.pem | *.key | *.crt | *.p12 | *jks | */java/cacerts) sum=- ;;
        *) sum=$(sha256sum <"$file" | cut -c1-16) ;;
    esac
    printf '%s %s %s\n' "$(stat -c '%U:%G %a' "$file")" "$sum" "$file"
done

dpkg-query --show --showformat '${db:Status-Abbrev} ${Package}\n'
cut -d: -f1,6,7 /etc/passwd | sort
systemctl list-unit-files --state=enabled --no-legend --plain | awk '{print $1, $2}' | sort
systemctl list-units --type=service --state=active,failed --no-legend --plain | awk '{print $1, $3}' |
    grep -vE '^(user|systemd-|getty|apt-|man-db|dpkg-|logrotate|e2scrub|session)' | sort
nft list ruleset | sed -E 's/packets [0-9]+ bytes [0-9]+//; /elements/d; /expires/d'
find /opt -maxdepth 3 \( -type d -o -type l \) -printf '%u %m %p %l\n' | sort
runuser -u postgres -- psql -XAtc '\l' -c '\du' | sed -E 's/[^|]*=[^|]*//g' | sort
