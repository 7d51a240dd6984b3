#!/bin/bash
# Makes the folders beside this file again: starts real ZooKeepers, fills them by Make.java, kills
# them hard, and keeps what they left on disk together with what they had answered.
#
# Usage: make.sh JARS_3_8 JARS_3_9   (class paths; ports 24810 to 24820 of 127.0.0.1 are used)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
super="super:$(printf super:secret | openssl dgst -sha1 -binary | base64)"
server=0
trap '[ $server = 0 ] || kill -9 $server; rm -rf "$work"' EXIT

# scenario NAME CLASSPATH CONTENT JVM_OPTIONS...
scenario() {
    name=$1 jars=$2 content=$3
    shift 3
    rm -rf "$work/$name"
    mkdir -p "$work/$name/data" "$work/$name/log"
    cat > "$work/$name/zoo.cfg" <<CFG
tickTime=2000
initLimit=10
syncLimit=5
dataDir=$work/$name/data
dataLogDir=$work/$name/log
admin.enableServer=false
CFG
    if [ "$content" = reconfig ]; then
        echo 1 > "$work/$name/data/myid"
        cat >> "$work/$name/zoo.cfg" <<CFG
standaloneEnabled=false
reconfigEnabled=true
server.1=127.0.0.1:24816:24817;127.0.0.1:24815
CFG
    else
        echo "clientPort=24815" >> "$work/$name/zoo.cfg"
        echo "clientPortAddress=127.0.0.1" >> "$work/$name/zoo.cfg"
    fi
    java -Xmx256m -cp "$jars" -Dzookeeper.preAllocSize=1 -Dzookeeper.extendedTypesEnabled=true \
        -Dzookeeper.DigestAuthenticationProvider.superDigest="$super" "$@" \
        org.apache.zookeeper.server.quorum.QuorumPeerMain "$work/$name/zoo.cfg" \
        > "$work/$name/out" 2>&1 &
    server=$!
    timeout 60 java -Xmx256m -cp "$jars" -Dzookeeper.extendedTypesEnabled=true \
        "$here/Make.java" 127.0.0.1:24815 "$content" "$work/$name/expected.tsv"
    kill -9 $server
    wait $server 2> /dev/null || true
    server=0
    rm -rf "${here:?}/$name"
    mkdir -p "$here/$name"
    mv "$work/$name/data" "$work/$name/log" "$work/$name/expected.tsv" "$here/$name"
}

scenario full-3.8 "$1" full -Dzookeeper.snapCount=70
scenario full-3.9 "$2" full -Dzookeeper.snapCount=70
scenario log-only-3.9 "$2" small
scenario gz-3.9 "$2" small -Dzookeeper.snapCount=12 -Dzookeeper.snapshot.compression.method=gz
scenario snappy-3.9 "$2" small -Dzookeeper.snapCount=30 -Dzookeeper.snapshot.compression.method=snappy
scenario no-digest-3.9 "$2" small -Dzookeeper.snapCount=12 -Dzookeeper.digest.enabled=false \
    -Dzookeeper.closeSessionTxn.enabled=false -Dzookeeper.serializeLastProcessedZxid.enabled=false
scenario reconfig-3.9 "$2" reconfig -Dzookeeper.snapCount=12
