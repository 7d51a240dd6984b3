#!/bin/sh
# Compiles what changed and runs the tests against $E2E_CONNECT.
set -eu
cd "$(dirname "$0")"
cache=$(cd ../.. && pwd)/.cache
want=$(cat pom.xml src/test/java/polyport/e2e/*.java | sha256sum)
if [ "$(cat "$cache/java-classes.stamp" 2>/dev/null)" != "$want" ]; then
    mvn -q -B -Dstyle.color=never test-compile dependency:build-classpath \
        -Dmdep.outputFile="$cache/java-classpath" -DincludeScope=test
    echo "$want" >"$cache/java-classes.stamp"
fi
exec java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8 \
    -De2e.connect="$E2E_CONNECT" -cp "$cache/java-target/test-classes:$(cat "$cache/java-classpath")" \
    org.junit.platform.console.ConsoleLauncher execute --disable-banner --details=summary \
    --scan-class-path="$cache/java-target/test-classes" --disable-ansi-colors "$@"
