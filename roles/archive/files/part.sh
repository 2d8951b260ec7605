#!/bin/sh
# Unpack FOLDER/.archive as FOLDER/PATH, whole or not at all, and note its version in FOLDER/.parts.
# usage: part.sh FOLDER PATH VERSION SHA256
set -eu
folder=$1 path=$2 version=$3 sha256=$4
cd "$folder"

# A run that was cut off may have left this at work.
exec 9< .
flock 9

if ! echo "$sha256  .archive" | sha256sum --check --status; then
    rm .archive
    echo "The archive arrived damaged in $folder: check this server's disk and memory, then run again." >&2
    exit 1
fi

rm -rf .unpacking .before
mkdir .unpacking
tar --extract --file .archive --directory .unpacking --strip-components 1 --no-same-owner
chown -R root: .unpacking
chmod -R u+rwX,go+rX,go-w .unpacking
rm .archive

# After a power cut the name must not be there without the content.
sync -f .unpacking
mkdir -p "$(dirname "$path")"
# What is noted is there: so the note of the one before goes first, and that of the new one comes last.
touch .parts
awk -v path="$path" '$1 != path' .parts >.parts.new
mv .parts.new .parts
[ ! -e "$path" ] || mv "$path" .before
mv .unpacking "$path"
rm -rf .before
{ cat .parts; echo "$path $version"; } >.parts.new
mv .parts.new .parts
