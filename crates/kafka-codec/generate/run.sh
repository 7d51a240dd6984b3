#!/bin/sh
# Generates the messages from Kafka's schemas, and fetches its jars first. Needs Maven, Python 3.11 and
# rustfmt. The schemas stay in the jars; generating again gives the same files.
set -eu
cd "$(dirname "$0")"
jars=${KAFKA_JARS:-$PWD/../../../.cache/kafka-schemas}
for jar in kafka-clients:3.9.1 kafka-group-coordinator:3.9.1 kafka-transaction-coordinator:3.9.1 \
    kafka-clients:4.0.0; do
    [ -f "$jars/$(echo "$jar" | tr : -).jar" ] ||
        mvn -q -B -Dstyle.color=never dependency:copy -Dartifact="org.apache.kafka:$jar" \
            -DoutputDirectory="$jars"
done
python3 generate.py "$jars" ../src
