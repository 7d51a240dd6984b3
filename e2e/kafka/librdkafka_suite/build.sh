#!/bin/sh
# Builds librdkafka and its tests: build.sh FOLDER. The sources come with the crate that Cargo.lock pins.
set -eu
folder=$1
cd "$(dirname "$0")"
cargo fetch -q --locked
manifest=$(cargo metadata -q --locked --format-version 1 |
    python3 -c 'import json, sys; print(next(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "rdkafka-sys"))')
rm -rf "$folder"
cp -r "$(dirname "$manifest")/librdkafka" "$folder"
cd "$folder"
# As little as the tests need: what is switched off is not of the broker. Its configure takes every file
# named configure.* for a part of itself.
./configure --disable-ssl --disable-gssapi --disable-curl --disable-zstd >make.log 2>&1 &&
    make -s -j"$(nproc)" libs >>make.log 2>&1 && make -s -j"$(nproc)" -C tests build >>make.log 2>&1 || {
    tail -20 make.log >&2
    exit 1
}
