"""`ekernel compare`: where two recorded runs part, and what they had read differently; policies on one run."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from emu.address import VirtAddr
from emu.cli.trace import tell_missing
from emu.cli.words import Group, Words, add_help
from emu.engine.translated.features import Access
from emu.errors import ConfigError
from emu.observe.policies import POLICIES, references
from emu.record.difference import first_difference, first_unlike_access
from emu.record.recording import Instruction, Recording
from emu.report.disassembly import disassemble
from emu.report.places import PlaceNames
from emu.terminal.signals import Signals


class CompareWords:
    """What `ekernel compare` was asked for."""

    one: Path
    other: Path | None
    frames: str


def options() -> Words:
    """The words of `ekernel compare`."""
    words = Words(
        "ekernel compare",
        "Show the first instruction at which two recorded runs differ; exit status 1 if they do. Where both have "
        "recorded memory, the first access that differs is shown, too. Or compare page replacement policies on one.",
        operands=" RECORDING [RECORDING]",
    )
    words.add_argument("one", metavar="RECORDING", type=Path, help="A run (ekernel run --record FILE).")
    words.add_argument("other", metavar="RECORDING", nargs="?", type=Path, help="Another.")
    Group(words, "Or policies on one run").value(
        "-replacement", "--replacement", to="frames", form="N,N...", default="",
        text="How often fifo, clock, lru and Belady's opt would fault on its pages with so many frames.",
    )  # fmt: skip
    add_help(words)
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Print the difference; the exit status is 1 if there is one. Raises RecordingError for what cannot be read."""
    request = options().read(words, CompareWords())
    if request.frames:
        return _policies(request)
    if request.other is None:
        raise ConfigError("compare with what? Name a second recording, or -replacement FRAMES")
    with Recording(request.one) as one, Recording(request.other) as other:
        lines = list(_lines(one, other))
        print("\n".join(lines or ["the same instructions"]))
        tell_missing(one)
        tell_missing(other)
    return int(bool(lines))


def _policies(request: CompareWords) -> int:
    """Print a row for each number of frames."""
    if request.other is not None:
        raise ConfigError("-replacement looks at one recording: leave out the second")
    numbers = request.frames.split(",")
    if not all(number.isascii() and number.isdigit() and int(number) for number in numbers):
        raise ConfigError(f"-replacement {request.frames}: give numbers of frames from 1 on, as in 4,8,16")
    with Recording(request.one) as recording:
        pages = references(recording, 0, (1 << 64) - 1)
        tell_missing(recording)
    print(f"{len(pages):,} references to {len(set(pages)):,} pages")
    print("".join(f"{head:>12}" for head in ("frames", *POLICIES)))
    for number in map(int, numbers):
        print("".join(f"{count:>12,}" for count in (number, *(policy(pages, number) for policy in POLICIES.values()))))
    return 0


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
