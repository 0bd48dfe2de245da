# SPDX-License-Identifier: Apache-2.0
"""Where the installed programs are, and how large the tests may be."""
import os
import time

PREFIX = os.environ.get("INSTAR_PREFIX") or os.path.dirname(
    os.path.dirname(os.environ.get("INSTAR", "/usr/local/sbin/instar")))
INSTAR = os.path.join(PREFIX, "sbin", "instar")
INSTARCTL = os.path.join(PREFIX, "bin", "instarctl")



def others_may_enter(path):
    """Can a user who owns nothing here reach it? Not below a home with mode 0700."""
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & 0o001:
            return False
    return True


LONG = bool(os.environ.get("INSTAR_LONG"))
SANITIZED = bool(os.environ.get("INSTAR_SANITIZER") or os.environ.get("INSTAR_SANITIZED"))
TSAN = os.environ.get("INSTAR_SANITIZER") == "tsan"

# The longest that anything that will come is waited for.
PATIENCE = 60.0 if SANITIZED else 30.0


def sized(short, long, sanitized=None):
    """The size of a test in this run."""
    if LONG and not SANITIZED:
        return long
    if SANITIZED and sanitized is not None:
        return sanitized
    return short


def until(condition, what, timeout=PATIENCE, pause=0.01):
    """Waits until condition() is true and returns what it returned."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:.0f} s: {what}")
        time.sleep(pause)
