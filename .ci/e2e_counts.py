"""Adds up what the runners of e2e/run.sh counted: prints passed, failed and skipped.

Each suite is one line, `<suite>: ok|FAILED, <server>, N node(s), N s: <closing lines>`, where the
closing lines are pytest's, JUnit's, Node's or Go's. Go's say only whether a package passed. A suite
that failed without a count is one failure.
"""

import re
import sys

SUITE = re.compile(r"^\w+: (ok|FAILED), .*?, \d+ node\(s\), \d+ s:(.*)$")


def total(*patterns):
    """How to read one number: the sum over all patterns."""
    return lambda text: sum(int(n) for p in patterns for n in re.findall(p, text))


passed_in = total(r"(\d+) passed", r"(\d+) tests successful", r"\bpass (\d+)")
failed_in = total(r"(\d+) failed\b", r"(\d+) error", r"(\d+) tests failed", r"\bfail (\d+)")
skipped_in = total(r"(\d+) skipped")


def main():
    passed = failed = skipped = 0
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        for line in log:
            suite = SUITE.match(line)
            if not suite:
                continue
            word, closing = suite.groups()
            good = passed_in(closing) or len(re.findall(r"(?:^|\s)ok\s", closing + " "))
            bad = failed_in(closing)
            if word == "FAILED" and bad == 0:
                bad = 1
            passed, failed, skipped = passed + good, failed + bad, skipped + skipped_in(closing)
    print(passed, failed, skipped)


if __name__ == "__main__":
    main()
