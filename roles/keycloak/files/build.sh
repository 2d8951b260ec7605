#!/bin/sh
# Build Keycloak for its options, beside the builds before it.
# usage: build.sh FOLDER NAME OPTION=VALUE...   (of the version; of the build, to be in FOLDER/lib)
set -eu
cd "$1"
name=$2
shift 2

# A run that was cut off may have left this at work.
exec 9< .
flock 9
[ ! -e "lib/$name" ] || exit 0

# Each build starts from the one that came with the archive: a command that is itself the result of the last
# build could not mend one that was cut off.
[ -d lib/quarkus-upstream ] || mv lib/quarkus lib/quarkus-upstream

# Nothing is written here by the service; what it does write lies with the rest of its data.
ln -sfn /var/lib/keycloak data

# Aside, so that a running Keycloak keeps its own build. Links, since only lib/quarkus is written.
rm -rf .building
mkdir .building
cp -al bin conf lib providers themes version.txt .building/
rm -rf .building/lib/quarkus .building/lib/quarkus-*/
cp -a lib/quarkus-upstream .building/lib/quarkus
for option; do
  shift
  set -- "$@" "--$option"
done
.building/bin/kc.sh build "$@"

# After a power cut the name must not be there without the content.
sync -f .building
mv .building/lib/quarkus "lib/$name"
rm -rf .building
