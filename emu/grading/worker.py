"""One process that judges one kernel: it limits itself, and then runs pytest."""

import ctypes
import json
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def main(words: list[str]) -> int:
    """The first word has the limits as JSON; the others are pytest's."""
    if sys.platform == "linux":  # who started this may be killed, and would not end it then
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    limits = json.loads(words[0])
    for name, value in limits.items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))
    sys.dont_write_bytecode = True  # pytest keeps what it rewrote beside the teacher's file, where nobody asked for it
    import pytest  # under the limits

    return int(pytest.main(words[1:], plugins=["emu.grading.judge"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
