#!/bin/sh
# Kafka's own classes read our messages and write them again, and we read and write theirs: the bytes
# must be the same, for every message and version. Needs Java, Maven and a minute. Exit status 0: they
# are.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
jars=${KAFKA_JARS:-$PWD/../../../.cache/kafka-3.9.1}
newer=${KAFKA_NEWER_JARS:-$PWD/../../../.cache/kafka-schemas}/kafka-clients-4.0.0.jar

if [ ! -d "$jars" ]; then
    mvn -q -B -Dstyle.color=never -f pom.xml dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$jars"
fi
if [ ! -f "$newer" ]; then
    mvn -q -B -Dstyle.color=never dependency:copy -Dartifact=org.apache.kafka:kafka-clients:4.0.0 \
        -DoutputDirectory="$(dirname "$newer")"
fi
cargo build -q -p polyport-kafka-codec --example messages --features fill
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
ours=$target/debug/examples/messages

# Those of 4.0.0 need its classes before the others'.
"$ours" names >"$work/names"
grep '^ConsumerGroup[HD].*Re' "$work/names" >"$work/names-4.0.0"
grep -v '^ConsumerGroup[HD].*Re' "$work/names" >"$work/names-3.9.1"
for release in 3.9.1 4.0.0; do
    path="$jars/*"
    [ "$release" = 3.9.1 ] || path="$newer:$path"
    java -cp "$path" Messages.java write "$work/names-$release" "$work/theirs"
    "$ours" check "$work/theirs"
    "$ours" write "$work/names-$release" "$work/ours"
    java -cp "$path" Messages.java check "$work/ours"
done
java -cp "$jars/*" Messages.java errors >"$work/theirs"
"$ours" errors >"$work/ours"
diff "$work/ours" "$work/theirs"
echo "the same $(wc -l <"$work/ours") errors"
