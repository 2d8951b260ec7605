# The same packages, archive, build and start as the first run of site.yml, by hand, and nothing else.
# Before it come PACKAGES and HEAP_MB; the archive lies in /root/keycloak.tar.gz.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends $PACKAGES >/dev/null
useradd --system --home-dir /var/lib/keycloak --create-home keycloak 2>/dev/null || true
mkdir -p /opt/keycloak/bare
tar -xzf /root/keycloak.tar.gz -C /opt/keycloak/bare --strip-components=1
chown -R keycloak: /opt/keycloak/bare
systemctl start postgresql
(cd / && su postgres -c "psql -qc \"create role keycloak login password 'bench'\" -c 'create database keycloak owner keycloak'")
cat >/opt/keycloak/bare/conf/keycloak.conf <<CONF
db=postgres
db-url=jdbc:postgresql://127.0.0.1:5432/keycloak
db-username=keycloak
db-password=bench
cache=local
http-enabled=true
http-host=127.0.0.1
hostname-strict=false
health-enabled=true
metrics-enabled=true
CONF
su keycloak -s /bin/sh -c "/opt/keycloak/bare/bin/kc.sh build" >/dev/null
systemd-run -q --unit bare -p User=keycloak -E JAVA_OPTS_KC_HEAP="-Xms64m -Xmx${HEAP_MB}m" \
  /opt/keycloak/bare/bin/kc.sh start --optimized
for second in $(seq 300); do
  python3 -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:9000/health/ready")' 2>/dev/null && exit
  sleep 1
done
exit 1
