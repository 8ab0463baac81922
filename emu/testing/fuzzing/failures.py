"""What is done with an input that fails: made smaller, and executed once more for its report."""

from collections.abc import Iterator

from emu.observe.lastinstructions import LastInstructions
from emu.testing.calls.crash import GuestCrash, last_instructions
from emu.testing.fuzzing.target import Failure, SanitizerReport, Target

_MOST = 2_000
"""Executions that making one input smaller may take."""
_ROWS = 16


def minimised(target: Target, data: bytes, key: tuple[object, ...]) -> tuple[bytes, int]:
    """A smaller input that fails in the same way, with bytes that do not matter zero; and the executions that took."""
    count = 0

    def fails(candidate: bytes) -> bool:
        nonlocal count
        count += 1
        failure = target.run(candidate)
        return failure is not None and failure.key == key

    size = len(data) // 2
    while size and count < _MOST:
        at = 0
        while at < len(data) and count < _MOST:
            candidate = data[:at] + data[at + size :]
            if fails(candidate):
                data = candidate
            else:
                at += size
        size //= 2
    for at in range(len(data)):
        if data[at] and count < _MOST and fails(candidate := data[:at] + b"\0" + data[at + 1 :]):
            data = candidate
    return data, count


def report(target: Target, data: bytes, failure: Failure) -> str:
    """The explanation of a failure, with the last instructions and the input."""
    error = failure.error
    if isinstance(error, GuestCrash):
        last = LastInstructions(target.machine)
        again = target.run(data)
        if again is not None and isinstance(again.error, GuestCrash):
            error = again.error
            retired = error.trap.instret - target.machine.instret
            error.instructions = last_instructions(target.machine, last, retired)
        last.close()
    elif isinstance(error, SanitizerReport):
        again = target.run(data)
        error = again.error if again is not None and again.key == failure.key else error
    lines = [str(error), f"input: {len(data):,} bytes", *_dump(data)]
    return "\n".join(lines) + "\n"


def _dump(data: bytes) -> Iterator[str]:
    for at in range(0, min(len(data), 16 * _ROWS), 16):
        row = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"  {at:#06x}  {row.hex(' '):<47}  {text}"
    if len(data) > 16 * _ROWS:
        yield f"  and {len(data) - 16 * _ROWS:,} more"
