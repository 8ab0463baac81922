"""A guest's console in the words of pexpect: expect, send, before, after, match."""

import re
from collections.abc import Sequence

from emu.events import ConsoleOutput
from emu.machine import Machine, StopReason
from emu.testing.machines import console_end

Pattern = str | bytes | re.Pattern[bytes]
_MOST = 2_000_000_000


class NotShown(AssertionError):
    """The console has not shown what was expected; the text says how the run ended, and with what."""


class Console:
    r"""What a guest writes from now on, and what it reads.

    >>> from ekernel import Image, Machine, MachineConfig
    >>> machine = Machine(MachineConfig(ram_size=16 << 20))
    >>> code = "13058006 93081000 73000000 13059006 73000000 93088000 73000000"  # SBI: putchar 'h', 'i', shutdown
    >>> machine.load(Image.from_bytes(bytes.fromhex(code), "hi.bin"))
    >>> console = Console(machine)
    >>> console.expect("h"), console.expect(["x", r"[ij]"]), console.after
    (0, 1, 'i')
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._console = machine.platform.console
        self._consumed = self._console.written
        self.before = ""
        """What was written before the match."""
        self.after = ""
        """What matched."""
        self.match: re.Match[bytes] | None = None

    @property
    def text(self) -> str:
        """What was written since the last match."""
        return self._unread().decode(errors="replace")

    def expect(self, pattern: Pattern | Sequence[Pattern], *, instructions: int = _MOST) -> int:
        """Run until the console has shown one of some patterns, and return which: regular expressions, as in pexpect.

        Raises NotShown when the guest ends, waits for something to be typed, or has executed so many instructions.
        """
        __tracebackhide__ = True
        given = pattern if isinstance(pattern, list | tuple) else (pattern,)
        patterns = [_compiled(each) for each in given]
        found = self._search(patterns)
        if found is not None:
            return found
        machine, shown = self._machine, False

        def look(_event: ConsoleOutput) -> None:
            nonlocal shown
            if any(each.search(self._unread()) for each in patterns):
                shown = True
                machine.interrupt()

        with machine.on(ConsoleOutput, look):
            outcome = machine.run(instructions)
        found = self._search(patterns) if shown else None
        if found is None:
            wanted = " or ".join(repr(each.pattern.decode(errors="replace")) for each in patterns)
            ended = (
                f"{instructions:,} instructions were executed" if outcome.reason is StopReason.INSTRUCTION_LIMIT
                else outcome.description
            )  # fmt: skip
            raise NotShown(f"the console has not shown {wanted}: {ended}{console_end(machine)}")
        return found

    def expect_exact(self, text: str | bytes, *, instructions: int = _MOST) -> int:
        """The same with a text that is no regular expression."""
        __tracebackhide__ = True
        return self.expect(re.escape(text.encode() if isinstance(text, str) else text), instructions=instructions)

    def send(self, text: str | bytes) -> None:
        """Type something."""
        if not isinstance(text, str | bytes):
            raise TypeError(f"{text!r} cannot be typed: give text or bytes")
        self._machine.type_text(text.encode() if isinstance(text, str) else text)

    def sendline(self, text: str | bytes = "") -> None:
        """Type a line, with its end."""
        self.send((text.encode() if isinstance(text, str) else text) + b"\n")

    def _unread(self) -> bytes:
        output = self._console.output
        return output[max(0, len(output) - (self._console.written - self._consumed)) :]

    def _search(self, patterns: Sequence[re.Pattern[bytes]]) -> int | None:
        unread = self._unread()
        matches = [
            (match.start(), index, match) for index, each in enumerate(patterns) if (match := each.search(unread))
        ]
        if not matches:
            return None
        _, index, self.match = min(matches, key=lambda one: one[:2])
        self.before = unread[: self.match.start()].decode(errors="replace")
        self.after = self.match[0].decode(errors="replace")
        self._consumed += self.match.end() + max(0, self._console.written - self._consumed - len(unread))
        return index


def _compiled(pattern: Pattern) -> re.Pattern[bytes]:
    if isinstance(pattern, re.Pattern):
        return pattern
    try:
        return re.compile(pattern.encode() if isinstance(pattern, str) else pattern)
    except (re.error, TypeError) as error:
        raise TypeError(
            f"{pattern!r} is no regular expression ({error}); expect_exact(TEXT) waits for a text as it is"
        ) from None
