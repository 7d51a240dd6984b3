#!/bin/sh
# A real Kafka reads what this crate writes, and this crate reads what a real Kafka writes. Needs Java,
# Maven and a minute. Exit status 0: both agree. Ports 19392 and 19393 on 127.0.0.1.
set -eu
cd "$(dirname "$0")"
here=$(pwd)
work=$(mktemp -d)
jars=${KAFKA_JARS:-$here/../../../.cache/kafka-3.9.1}
broker=
finish() {
    [ -z "$broker" ] || kill -9 "$broker" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
fail() { echo "compare: $*" >&2; exit 1; }

if [ ! -d "$jars" ]; then
    mvn -q -B -Dstyle.color=never -f pom.xml dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$jars"
fi
cargo build -q -p polyport-log --example log-files
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
files=$target/debug/examples/log-files

# 1. Kafka's DumpLogSegments on our segments: every index sane, every record there.
end=$("$files" write "$work/ours-0")
[ "$(find "$work/ours-0" -name '*.log' | wc -l)" -gt 2 ] || fail "few segments"
for log in "$work"/ours-0/*.log; do
    java -cp "$jars/*" kafka.tools.DumpLogSegments --deep-iteration --print-data-log --files "$log"
done >"$work/dump.txt" 2>&1 || fail "DumpLogSegments failed: $(tail -5 "$work/dump.txt")"
for index in "$work"/ours-0/*.index "$work"/ours-0/*.timeindex "$work"/ours-0/*.txnindex \
    "$work"/ours-0/*.snapshot; do
    java -cp "$jars/*" kafka.tools.DumpLogSegments --files "$index" >"$work/index.txt" 2>&1 ||
        fail "$index: $(tail -5 "$work/index.txt")"
    if grep -Eqi 'mismatch|exception|Invalid|could not' "$work/index.txt"; then
        fail "$index: $(grep -Ei -A3 'mismatch|exception|invalid|could not' "$work/index.txt")"
    fi
done
grep -q 'isvalid: false' "$work/dump.txt" && fail "a batch that Kafka finds invalid"
records=$(grep -c '^| offset:' "$work/dump.txt")
[ "$records" = "$end" ] || fail "Kafka sees $records records, $end were written"
"$files" read "$work/ours-0" 2>/dev/null | sed 's/ .*//' >"$work/ours.txt"
grep '^| offset:' "$work/dump.txt" | sed 's/^| offset: \([0-9]*\).*/\1/' >"$work/theirs.txt"
cmp "$work/ours.txt" "$work/theirs.txt" || fail "other offsets"
echo "compare: Kafka reads our $records records"

# 2. A real broker's segments under our reader: while it runs (a copy, as after kill -9) and after a
# clean stop.
cat >"$work/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:19393
listeners=PLAINTEXT://127.0.0.1:19392,CONTROLLER://127.0.0.1:19393
controller.listener.names=CONTROLLER
log.dirs=$work/kafka
log.segment.bytes=65536
log.retention.ms=-1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
PROPERTIES
java -cp "$jars/*" kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ \
    -c "$work/server.properties" >"$work/format.txt" 2>&1 || fail "$(cat "$work/format.txt")"
java -Xmx512m -cp "$jars/*" kafka.Kafka "$work/server.properties" >"$work/kafka.txt" 2>&1 &
broker=$!
timeout 120 java -cp "$jars/*" Produce.java 127.0.0.1:19392 theirs >"$work/produce.txt" 2>&1 ||
    fail "produce: $(tail -5 "$work/produce.txt")"
cp -r "$work/kafka/theirs-0" "$work/killed-0"
kill "$broker"
wait "$broker" || true
broker=
for copy in "$work/kafka/theirs-0" "$work/killed-0"; do
    for log in "$copy"/*.log; do
        java -cp "$jars/*" kafka.tools.DumpLogSegments --deep-iteration --print-data-log --files "$log"
    done >"$work/dump.txt" 2>&1
    grep '^| offset:' "$work/dump.txt" |
        sed -n 's/^| offset: \([0-9]*\) .*CreateTime: \([0-9]*\).* key: \([^ ]*\) payload: \(.*\)$/\1 \2 \3 \4/p' \
        >"$work/theirs.txt"
    "$files" read "$copy" 2>"$work/recovered.txt" >"$work/all.txt" ||
        fail "reading $copy: $(cat "$work/recovered.txt")"
    grep -v ' marker ' "$work/all.txt" >"$work/ours.txt"
    [ "$(wc -l <"$work/ours.txt")" = 4000 ] || fail "$(wc -l <"$work/ours.txt") of 4000 records"
    cmp "$work/ours.txt" "$work/theirs.txt" || fail "other records than Kafka's"
    [ "$(grep -c ' marker commit=false' "$work/all.txt")" = 5 ] || fail "aborted transactions"
    # What recovery made of Kafka's files, Kafka still reads.
    java -cp "$jars/*" kafka.tools.DumpLogSegments --files "$copy/00000000000000000000.index" \
        >"$work/index.txt" 2>&1 || fail "index: $(cat "$work/index.txt")"
    if grep -Eqi 'mismatch|exception' "$work/index.txt"; then fail "$(cat "$work/index.txt")"; fi
    echo "compare: we read Kafka's $(wc -l <"$work/all.txt") records ($(cat "$work/recovered.txt"))"
done
