#!/bin/sh
# Asks a broker what a Kafka 3.9.1 was asked, and compares the answers: `transactions.sh ADDRESS`. The
# broker must be a fresh one that looks for late transactions often
# (transaction.abort.timed.out.transaction.cleanup.interval.ms=200). Exit status 0: they agree.
# Against a real Kafka, what is printed with `--print` is what belongs into transactions.txt.
set -eu
cd "$(dirname "$0")"
answers=$(mktemp)
trap 'rm -f "$answers"' EXIT
cargo run -q -p polyport-kafka --example transactions -- "$1" <transactions.txt >"$answers"
if [ "${2:-}" = --print ]; then
    cat "$answers"
else
    diff transactions.txt "$answers"
fi
