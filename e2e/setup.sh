#!/bin/sh
# Fetches what the suites need: Python packages, jars, Go and Node modules, Debian's zookeeper and
# kcat. Does nothing when it is all there. Uses the registries the machine is configured for.
set -eu
cd "$(dirname "$0")"
root=$(cd .. && pwd)
cache=$root/.cache
mkdir -p "$cache"

# The stamp of a step is the sum of what it was made from.
step() { # name, files…
    name=$1; shift
    want=$(cat "$@" | sha256sum)
    [ "$(cat "$cache/$name.stamp" 2>/dev/null)" = "$want" ] && return 1
    stamp=$cache/$name.stamp
    echo "e2e: setting up $name" >&2
}
stamped() { echo "$want" >"$stamp"; }

missing=""
command -v ss >/dev/null || missing="$missing iproute2"
command -v nc >/dev/null || missing="$missing netcat-openbsd"
[ -x /usr/share/zookeeper/bin/zkCli.sh ] || missing="$missing zookeeper"
command -v kcat >/dev/null || missing="$missing kcat"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "e2e: installing$missing" >&2
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
            { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
                --no-install-recommends $missing >/dev/null; }
    else
        echo "e2e: without$missing some suites cannot run" >&2
    fi
fi

if step python requirements.txt || [ ! -x "$root/.venv/bin/pytest" ]; then
    [ -x "$root/.venv/bin/python" ] || python3 -m venv "$root/.venv"
    "$root/.venv/bin/pip" install -q --disable-pip-version-check -r requirements.txt
    stamped
fi

# librdkafka of 2022: before KIP-848, before most of the admin API.
if step kafka-old kafka/requirements-old.txt || [ ! -d "$cache/kafka-old-clients" ]; then
    rm -rf "$cache/kafka-old-clients"
    "$root/.venv/bin/pip" install -q --disable-pip-version-check --no-deps \
        --target "$cache/kafka-old-clients" -r kafka/requirements-old.txt
    stamped
fi

if step jars jars/pom.xml || [ ! -d "$cache/zookeeper-3.9.3" ]; then
    rm -rf "$cache/zookeeper-3.9.3"
    mvn -q -B -Dstyle.color=never -f jars/pom.xml dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$cache/zookeeper-3.9.3"
    stamped
fi

if [ -f java/pom.xml ] && step java java/pom.xml; then
    mvn -q -B -Dstyle.color=never -f java/pom.xml dependency:go-offline >/dev/null
    stamped
fi

if step kafka-java kafka/java/pom.xml; then
    mvn -q -B -Dstyle.color=never -f kafka/java/pom.xml dependency:go-offline >/dev/null
    stamped
fi

# The real Kafka is for those who prove the suites against it: KAFKA_PEER=real or zookeeper.
if [ "${KAFKA_PEER:-polyport}" != polyport ] && { step kafka-jars kafka/jars/pom.xml || [ ! -d "$cache/kafka-3.9.1" ]; }; then
    rm -rf "$cache/kafka-3.9.1"
    mvn -q -B -Dstyle.color=never -f kafka/jars/pom.xml dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$cache/kafka-3.9.1"
    stamped
fi

if [ -f go/go.mod ] && command -v go >/dev/null && step go go/go.mod go/go.sum; then
    (cd go && go mod download)
    stamped
fi

if [ -f node/package-lock.json ] && command -v npm >/dev/null && step node node/package-lock.json; then
    (cd node && npm ci --silent --no-audit --no-fund)
    stamped
fi

if command -v npm >/dev/null && step kafka-node kafka/node/package-lock.json; then
    (cd kafka/node && npm ci --silent --no-audit --no-fund)
    stamped
fi
