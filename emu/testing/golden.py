"""Golden traces: what a run did, as text that does not change when code moves, compared with a stored file."""

import difflib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from emu.address import VirtAddr
from emu.events import Event, FunctionCalled, FunctionReturned
from emu.machine import Machine
from emu.observe.calls.functions import FunctionObserver
from emu.observe.lastinstructions import Everything
from emu.report.disassembly import disassemble

_FOLDER = "__golden__"
_CONTEXT = 4
"""Lines before and after the first that differs."""
_MOST = 200_000
"""Lines of a trace."""
_JUMP = re.compile(r"^((?:c\.)?(?:jal?|j|b\w+)\b.*?)(-?0x[0-9a-f]+|-?\d+)$")
_UPPER = re.compile(r"^auipc (\w+), (-?(?:0x[0-9a-f]+|\d+))$")


class Golden:
    """Compares text with what is stored beside the test, by syrupy's habits."""

    def __init__(self, test: Path, name: str, *, update: bool) -> None:
        self._stem = test.parent / _FOLDER / test.stem / re.sub(r"[^\w.-]+", "_", name)
        self._update, self._count = update, 0

    def __call__(self, trace: str | bytes | Iterable[str], name: str | None = None) -> None:
        """Fail, with the first difference and what is around it, when the trace is not as stored.

        Of several traces in one test each is stored by its number, or by `name`.
        """
        __tracebackhide__ = True
        self._count += 1
        suffix = f".{name}" if name else f".{self._count}" if self._count > 1 else ""
        path = self._stem.with_name(f"{self._stem.name}{suffix}.txt")
        text = trace.decode(errors="replace") if isinstance(trace, bytes) else trace
        if not isinstance(text, Iterable):
            raise TypeError(f"golden takes text, bytes or lines, not {text!r}: golden(instructions(machine, run))")
        lines = text.splitlines() if isinstance(text, str) else list(text)
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            return
        if not path.exists():
            raise AssertionError(f"nothing is stored as {path.name}: run pytest with --snapshot-update, and look at it")
        stored = path.read_text(encoding="utf-8").splitlines()
        if stored != lines:
            raise AssertionError(first_difference(stored, lines, path.name))


def first_difference(stored: list[str], now: list[str], name: str) -> str:
    """Where two traces part, with what is around it in both."""
    at = next(
        (n for n, (old, new) in enumerate(zip(stored, now, strict=False)) if old != new), min(len(stored), len(now))
    )
    begin, end = max(0, at - _CONTEXT), at + _CONTEXT + 1
    shown = difflib.ndiff(stored[begin:end], now[begin:end])
    lines = [f"  {line}" for line in shown if not line.startswith("?")]
    return "\n".join(
        [f"{name} differs first in line {at + 1} (- stored, + now; --snapshot-update stores it anew):", *lines]
    )


def instructions(machine: Machine, run: Callable[[], object]) -> list[str]:
    """The instructions that `run` lets a machine execute: function and text.

    Addresses are left out, so that code which has only moved gives the same trace.
    """
    with Everything(machine) as everything:
        run()
        executed = everything.executed(_MOST)
    lines = []
    page: tuple[str, int] | None = None
    for pc, code in executed:
        found = machine.symbols.at(pc)
        name = found[0].label if found else "?"
        text = disassemble(code, pc) or code.hex()
        upper = _UPPER.match(text)
        if page is not None:
            text = _completed(machine, text, *page)
        lines.append(f"{name}: {f'auipc {upper[1]}' if upper else _normalised(machine, pc, text)}")
        page = (upper[1], int(pc) + (int(upper[2], 0) << 12)) if upper else None
    return lines


def _completed(machine: Machine, text: str, register: str, page: int) -> str:
    """An instruction behind `auipc`: the address that both make, by its name."""
    lower = re.search(rf"\b{register}, (-?(?:0x)?[0-9a-f]+)$", text) or re.search(
        rf"(-?(?:0x)?[0-9a-f]+)\({register}\)$", text
    )
    if lower is None:
        return text
    return f"{text[: lower.start()]}{_named(machine, page + int(lower[1], 0))}"


def calls(machine: Machine, pattern: str, run: Callable[[], object]) -> list[str]:
    """The calls of some functions, and what they returned, while `run` lets a machine execute."""
    lines: list[str] = []

    def called(event: FunctionCalled) -> None:
        lines.append(f"{'  ' * event.depth}{event.name}")

    def returned(event: FunctionReturned) -> None:
        lines.append(f"{'  ' * event.depth}{event.name} = {_named(machine, event.value)}")

    with FunctionObserver(machine, pattern), machine.on(FunctionCalled, called), machine.on(FunctionReturned, returned):
        run()
    return lines


def events(machine: Machine, kinds: Iterable[type[Event]], run: Callable[[], object]) -> list[str]:
    """The events of some kinds, by kind and place, while `run` lets a machine execute."""
    lines: list[str] = []

    def tell(event: Event) -> None:
        found = machine.symbols.at(event.pc)
        lines.append(f"{type(event).__name__} in {found[0].label if found else '?'}")

    subscriptions = [machine.on(kind, tell) for kind in kinds]
    try:
        run()
    finally:
        for subscription in subscriptions:
            subscription.cancel()
    return lines


def _normalised(machine: Machine, pc: VirtAddr, text: str) -> str:
    """An instruction without the addresses in it: a jump by its target's name."""
    jump = _JUMP.match(text)
    if jump is None:
        return text
    target = (int(pc) + int(jump[2], 0)) & (1 << 64) - 1
    found = machine.symbols.at(target)
    if found is None:
        return text
    here = machine.symbols.at(pc)
    inside = here is not None and here[0] == found[0]
    return f"{jump[1]}{jump[2]}" if inside and found[1] else f"{jump[1]}{found[0].label}"


def _named(machine: Machine, value: int) -> str:
    found = machine.symbols.at(value)
    return f"{value:#x}" if found is None else found[0].label + (f"+{found[1]:#x}" if found[1] else "")
