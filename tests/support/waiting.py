"""Waiting for something that happens in another process, always with an end."""

import time

DEADLINE_S = 30


def eventually(attempt, what, deadline_s=DEADLINE_S):
    """Calls `attempt` until its result is true, and returns that; fails naming `what` after the deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if result := attempt():
            return result
        time.sleep(0.01)
    raise AssertionError(f"not within {deadline_s} s: {what}")
