#!/bin/sh
# A real Kafka reads the groups that our coordinator writes, and ours reads what a real Kafka writes.
# Needs Java, Maven and a minute. Exit status 0: both agree. Ports 21392 and 21393 on 127.0.0.1.
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
same() {
    diff "$work/expected.txt" "$1" >&2 || fail "$2"
}

if [ ! -d "$jars" ]; then
    mvn -q -B -Dstyle.color=never -f ../../log/compare/pom.xml dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$jars"
fi
cargo build -q -p polyport-kafka --example group-log
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
groups=$target/debug/examples/group-log

# 1. Kafka's own decoder on our records.
"$groups" write "$work/ours"
java -cp "$jars/*" kafka.tools.DumpLogSegments --offsets-decoder \
    --files "$work/ours/__consumer_offsets-0/00000000000000000000.log" >"$work/dump.txt" 2>&1 ||
    fail "DumpLogSegments: $(tail -5 "$work/dump.txt")"
grep -q 'isvalid: false' "$work/dump.txt" && fail "a batch that Kafka finds invalid"
grep -o ' key: .*' "$work/dump.txt" | sed 's/ key: //; s/"[a-zA-Z]*Timestamp":[0-9]*/"time":0/g; s/instance-[0-9a-f-]*/MEMBER/g' \
    >"$work/records.txt"
cp expected-records.txt "$work/expected.txt"
same "$work/records.txt" "Kafka reads other records than were meant"
echo "compare: Kafka reads our $(wc -l <"$work/records.txt") records"

# 2. A real broker's groups under our coordinator, as after kill -9.
cat >"$work/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:21393
listeners=PLAINTEXT://127.0.0.1:21392,CONTROLLER://127.0.0.1:21393
controller.listener.names=CONTROLLER
log.dirs=$work/kafka
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
group.coordinator.rebalance.protocols=classic,consumer
PROPERTIES
java -cp "$jars/*" kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ \
    -c "$work/server.properties" >"$work/format.txt" 2>&1 || fail "$(cat "$work/format.txt")"
java -Xmx512m -cp "$jars/*" kafka.Kafka "$work/server.properties" >"$work/kafka.txt" 2>&1 &
broker=$!
timeout 180 java -cp "$jars/*" Groups.java 127.0.0.1:21392 consumer >"$work/groups.txt" 2>&1 ||
    fail "groups: $(tail -5 "$work/groups.txt")"
mkdir "$work/theirs"
cp -r "$work/kafka/__consumer_offsets-0" "$work/theirs/"
"$groups" read "$work/theirs" >"$work/read.txt" 2>"$work/errors.txt" || fail "$(cat "$work/errors.txt")"
cat >"$work/expected.txt" <<GROUPS
group classic classic Stable
member classic range instance 33
group modern consumer Stable
member modern topic epoch 1
group simple classic Empty
group transactional classic Empty
offset classic topic 0 21
offset modern topic 2 41
offset simple topic 0 11
offset transactional topic 0 31
GROUPS
same "$work/read.txt" "other groups than Kafka's"
echo "compare: we read Kafka's $(grep -c '^group' "$work/read.txt") groups"
