#!/bin/sh
# Kafka's own tools and ours print the same, against one real broker. Needs Java, Maven, Python and ten
# minutes; RECORDED=DIR keeps what Kafka's tools printed there and does not run them a second time. Exit
# status 0: no difference. Ports 19492 and 19493 on 127.0.0.1.
set -eu
cd "$(dirname "$0")"
here=$(pwd)
work=$(mktemp -d)
jars=${KAFKA_JARS:-$here/../../../../.cache/kafka-tools-3.9.1}
recorded=${RECORDED:-$work/recorded}
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
cargo build -q -p polyport-tools --example tool
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
mkdir -p "$work/ours" "$recorded"
for class in $(sed -n 's/^    "\(kafka-[a-z-]*\.sh\)".*/\1/p' compare.py); do
    ln -s "$target/debug/examples/tool" "$work/ours/$class"
done

cat >"$work/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:19493
listeners=PLAINTEXT://127.0.0.1:19492,CONTROLLER://127.0.0.1:19493
controller.listener.names=CONTROLLER
log.dirs=$work/data
log.segment.bytes=1073741824
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
PROPERTIES
java -cp "$jars/*" kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ \
    -c "$work/server.properties" >"$work/format.txt" 2>&1 || fail "$(cat "$work/format.txt")"
java -Xmx512m -cp "$jars/*" kafka.Kafka "$work/server.properties" >"$work/kafka.txt" 2>&1 &
broker=$!
waited=0
until "$work/ours/kafka-cluster.sh" cluster-id --bootstrap-server 127.0.0.1:19492 >/dev/null 2>&1; do
    kill -0 "$broker" 2>/dev/null || fail "$(tail -5 "$work/kafka.txt")"
    waited=$((waited + 1))
    [ "$waited" -lt 5 ] || fail "no broker"
done
status=0
for commands in commands/*.txt; do
    record=$recorded/$(basename "$commands" .txt).json
    if [ -s "$record" ]; then how="--against $record"; else how="--record $record"; fi
    # shellcheck disable=SC2086 # two words
    python3 compare.py --server 127.0.0.1:19492 --jars "$jars" --ours "$work/ours" $how "$commands" ||
        status=1
done
exit $status
