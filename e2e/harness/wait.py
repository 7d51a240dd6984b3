"""Waiting for a condition, bounded in time."""

import time


def until(condition, seconds=10.0, what="the condition"):
    """Calls `condition` until it returns something true; returns that."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come about in {seconds} s")
        time.sleep(0.02)
