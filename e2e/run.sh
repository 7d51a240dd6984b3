#!/bin/sh
# Runs the suites: e2e/run.sh [--server polyport|zookeeper] [--nodes 1|3] [suite…]
# Suites: kazoo raw upstream java go node zkcli notes, kafka kafka_old kafka_java kafka_node
# kafka_notes librdkafka; without any, all but kafka_old and librdkafka (6 minutes, and a compiler)
# that fit the node count. Without --nodes, once with one node and once with three.
# KAFKA_PEER=real or zookeeper runs Kafka's suites on the real Kafka.
set -u
cd "$(dirname "$0")"
server=polyport
nodes="1 3"
suites=""
while [ $# -gt 0 ]; do
    case $1 in
    --server) server=$2; shift ;;
    --server=*) server=${1#*=} ;;
    --nodes) nodes=$2; shift ;;
    --nodes=*) nodes=${1#*=} ;;
    -h | --help) sed -n '2,7s/^# //p' "$0"; exit 0 ;;
    *) suites="$suites $1" ;;
    esac
    shift
done
./setup.sh || exit 1
root=$(cd .. && pwd)
python=$root/.venv/bin/python
logs=$root/.cache/e2e-logs
mkdir -p "$logs"
failed=0

on_cluster() { # count, command…
    count=$1; shift
    "$python" -m harness.run --server "$server" --nodes "$count" -- "$@"
}

run_suite() { # suite, count
    case $1 in
    kazoo | raw | zkcli) "$root/.venv/bin/pytest" --server "$server" --nodes "$2" "$1" ;;
    notes) "$root/.venv/bin/pytest" --server "$server" --nodes "$2" notes/test_notes.py ;;
    upstream)
        tests=$("$python" -c 'import kazoo.tests as t; print(t.__path__[0])')
        # When one of its tests of locks fails, its end waits for a thread for ever: 107 s are usual.
        PYTHONPATH=.:kazoo timeout -s INT 300 "$root/.venv/bin/pytest" -c pytest.ini --rootdir "$(dirname "$tests")" \
            -p upstream_plugin --timeout 120 --server "$server" \
            --ignore "$tests/test_selectors_select.py" "$tests" ;;
    java) on_cluster "$2" java/run.sh ;;
    go) on_cluster "$2" sh -c 'cd go && go test -count=1 -timeout 90s ./...' ;;
    kafka) "$root/.venv/bin/pytest" kafka ;;
    # What the older librdkafka cannot do, the suites skip.
    kafka_old)
        PYTHONPATH=$root/.cache/kafka-old-clients "$root/.venv/bin/pytest" kafka/test_confluent_admin.py \
            kafka/test_confluent_consume.py kafka/test_confluent_produce.py ;;
    kafka_java) "$python" -m harness.kafka_run -- kafka/java/run.sh ;;
    kafka_node)
        "$python" -m harness.kafka_run -- sh -c 'cd kafka/node && node --test --test-reporter=spec' ;;
    # Its own developers run it on three brokers.
    librdkafka)
        PYTHONPATH=. "$python" kafka/librdkafka_suite/run.py --nodes "$2" ;;
    kafka_notes) "$root/.venv/bin/pytest" notes/test_kafka_notes.py ;;
    node) on_cluster "$2" sh -c 'cd node && node --test --test-reporter=spec' ;;
    *) echo "no such suite: $1" >&2; return 2 ;;
    esac
}

for count in $nodes; do
    if [ -n "$suites" ]; then
        chosen=$suites
    else
        chosen="kazoo raw java go node zkcli notes"
        # Kafka's are of one node.
        [ "$count" = 1 ] && [ "$server" = polyport ] &&
            chosen="$chosen kafka kafka_java kafka_node kafka_notes"
        # Its cluster always has three nodes.
        [ "$count" = 3 ] && chosen="$chosen upstream"
    fi
    for suite in $chosen; do
        log=$logs/$server-$count-$suite.log
        start=$(date +%s)
        word=ok
        if ! run_suite "$suite" "$count" >"$log" 2>&1; then
            # Other people's suites wait by the clock. What failed gets one more try, and its first
            # log is kept and named: a test that needs it often is a finding.
            mv "$log" "$log.first"
            echo "$suite: what failed is tried once more, first log: $log.first"
            PYTEST_ADDOPTS=--last-failed run_suite "$suite" "$count" >"$log" 2>&1 || word=FAILED
            [ "$word" = ok ] || failed=1
        fi
        seconds=$(($(date +%s) - start))
        # The last line that counts: pytest's, JUnit's, Go's or Node's.
        counts=$(grep -E '^[0-9]+ (passed|failed)|(passed|failed).* in [0-9.]+s|tests (successful|failed) +\]|^(ok|FAIL)[[:space:]]|^. (pass|fail) [0-9]' \
            "$log" | tail -n 2 | tr -s ' \n\t[]' ' ')
        echo "$suite: $word, $server, $count node(s), $seconds s:$counts"
        [ "$word" = ok ] || echo "    see $log"
    done
done
exit $failed
