"""`ekernel compare`: the first instruction at which two recorded runs part, and what they had read differently."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from emu.address import VirtAddr
from emu.cli.trace import tell_missing
from emu.cli.words import Group, Words
from emu.engine.translated.features import Access
from emu.record.difference import first_difference, first_unlike_access
from emu.record.recording import Instruction, Recording
from emu.report.disassembly import disassemble
from emu.report.places import PlaceNames
from emu.terminal.signals import Signals


class CompareWords:
    """What `ekernel compare` was asked for."""

    one: Path
    other: Path


def options() -> Words:
    """The words of `ekernel compare`."""
    words = Words(
        "ekernel compare",
        "Show the first instruction at which two recorded runs differ; exit status 1 if they do. Where both have "
        "recorded memory, the first access that differs is shown, too.",
        operands=" RECORDING RECORDING",
    )
    words.add_argument("one", metavar="RECORDING", type=Path, help="A run (ekernel run --record FILE).")
    words.add_argument("other", metavar="RECORDING", type=Path, help="Another.")
    Group(words, "Help").flag("-h", "--help", to="help", text="Show this.")
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Print the difference; the exit status is 1 if there is one. Raises RecordingError for what cannot be read."""
    request = options().read(words, CompareWords())
    with Recording(request.one) as one, Recording(request.other) as other:
        lines = list(_lines(one, other))
        print("\n".join(lines or ["the same instructions"]))
        tell_missing(one)
        tell_missing(other)
    return int(bool(lines))


def _lines(one: Recording, other: Recording) -> Iterator[str]:
    found = first_difference(one, other)
    if found is None:
        return
    names = PlaceNames(one.names), PlaceNames(other.names)
    for instruction in found.before:
        yield f"  {_instruction(instruction, names[0])}"
    yield f"- {_instruction(found.one, names[0])}"
    yield f"+ {_instruction(found.other, names[1])}"
    if "memory" in one.what and "memory" in other.what:
        last = max(side.instret for side in (found.one, found.other) if side is not None)
        unlike = first_unlike_access(one, other, last)
        if unlike is not None:
            yield "the first access that differs:"
            yield f"- {_access(unlike[0], names[0])}"
            yield f"+ {_access(unlike[1], names[1])}"


def _instruction(instruction: Instruction | None, names: PlaceNames) -> str:
    if instruction is None:
        return "the recording ends"
    instret, pc, code, privilege = instruction
    return f"{instret:>14,}  {privilege.name} {pc:#018x}  {disassemble(code, pc) or '?':<32} {names.name(pc)}"


def _access(access: Access | None, names: PlaceNames) -> str:
    if access is None:
        return "none"
    word = "store" if access.is_store else "load "
    place = names.name(VirtAddr(access.pc))
    return f"{access.instret:>14,}  {word} {access.address:#018x}  {access.value:#0{2 + 2 * access.size}x}  {place}"
