#!/bin/sh
# Compiles what changed and runs the tests against $KAFKA_BOOTSTRAP.
set -eu
cd "$(dirname "$0")"
cache=$(cd ../../.. && pwd)/.cache
want=$(cat pom.xml src/test/java/polyport/e2e/kafka/*.java | sha256sum)
if [ "$(cat "$cache/kafka-java-classes.stamp" 2>/dev/null)" != "$want" ]; then
    mvn -q -B -Dstyle.color=never test-compile dependency:build-classpath \
        -Dmdep.outputFile="$cache/kafka-java-classpath" -DincludeScope=test
    echo "$want" >"$cache/kafka-java-classes.stamp"
fi
skip=
for tag in ${KAFKA_NOT_YET:-}; do skip="$skip --exclude-tag $tag"; done
# shellcheck disable=SC2086
exec java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8 \
    -Dkafka.bootstrap="$KAFKA_BOOTSTRAP" \
    -cp "$cache/kafka-java-target/test-classes:$(cat "$cache/kafka-java-classpath")" \
    org.junit.platform.console.ConsoleLauncher execute --disable-banner --details=${E2E_DETAILS:-summary} \
    --scan-class-path="$cache/kafka-java-target/test-classes" --disable-ansi-colors $skip "$@"
