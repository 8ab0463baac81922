"""`ekernel compare`: where two recorded runs part, and what they had read differently; what one asks of others."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from emu.address import VirtAddr
from emu.cli.shared.outputs import whole_file
from emu.cli.shared.runs import is_kernel, opened_run
from emu.cli.words.reading import Group, Words, add_help
from emu.engine.translated.features import Access
from emu.errors import ConfigError
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
    allocators: str
    output: Path | None


def options() -> Words:
    """The words of `ekernel compare`."""
    words = Words(
        "ekernel compare",
        "Show the first instruction at which two runs differ; exit status 1 if they do. Where both have "
        "recorded memory, the first access that differs is shown, too. Or compare policies or allocators on one.",
        operands=" RECORDING|ELF [RECORDING|ELF]",
    )
    words.operand("one", form="RUN", kind=Path, text="A run (ekernel run --record FILE), or a kernel, which is run.")
    words.operand("other", form="RUN", many="?", kind=Path, text="Another.")
    group = Group(words, "Or one run's workload elsewhere")
    group.value(
        "-replacement", "--replacement", to="frames", form="N,N...", default="",
        text="How often fifo, clock, lru and Belady's opt would fault on its pages with so many frames.",
    )  # fmt: skip
    group.value(
        "-allocators", "--allocators", to="allocators", form="heap|frames", default="",
        text="What each of the teaching kernel's allocators would cost and waste on its allocations.",
    )  # fmt: skip
    group.value("-o", "--output", to="output", form="FILE.svg", kind=Path, text="Draw it, too.")
    add_help(words)
    return words


def main(words: Sequence[str], _signals: Signals) -> int:
    """Print the difference; the exit status is 1 if there is one. Raises RecordingError for what cannot be read."""
    request = options().read(words, CompareWords())
    if request.frames or request.allocators:
        return _elsewhere(request)
    if request.output is not None:
        raise ConfigError("-o draws what -replacement or -allocators compare: name one of them")
    if request.other is None:
        raise ConfigError("compare with what? Name a second recording, or -replacement FRAMES, or -allocators heap")
    with _opened(request.one) as one, _opened(request.other) as other:
        lines = list(_lines(one, other))
        print("\n".join(lines or ["the same instructions"]))
    return int(bool(lines))


def _opened(path: Path) -> AbstractContextManager[Recording]:
    """A run; one that was not recorded is, with what it has read."""
    return opened_run(path, needs=("memory",) if is_kernel(path) else ())


def _elsewhere(request: CompareWords) -> int:
    """Print what the workload of one run would be elsewhere, and draw it if wanted."""
    from emu.labs import comparisons  # it needs the teaching kernel, which a comparison of two runs does not

    if request.frames and request.allocators:
        raise ConfigError("-replacement and -allocators are two comparisons: leave out one")
    if request.other is not None:
        word = "-replacement" if request.frames else "-allocators"
        raise ConfigError(f"{word} looks at one recording: leave out the second")
    compared = comparisons.policies(request.frames) if request.frames else comparisons.allocators(request.allocators)
    with opened_run(request.one, needs=("memory",) if request.frames else ()) as recording:
        found = compared(recording)
    print("\n".join(found.lines))
    if request.output is not None:
        with whole_file(request.output) as stream:
            stream.write(found.picture.svg().encode())
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
    without = [str(side.path) for side in (one, other) if "memory" not in side.what]
    if without:
        print(
            f"ekernel: the first access that differs is not shown: {' and '.join(without)} recorded no memory; "
            "--record-what memory does",
            file=sys.stderr,
        )
    else:
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
