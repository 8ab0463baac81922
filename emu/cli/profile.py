"""`ekernel profile`: where a kernel's instructions went."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache

from emu.address import VirtAddr
from emu.cli.shared.machines import new_machine
from emu.cli.shared.moments import run_to_moment
from emu.cli.shared.recordings import opened
from emu.cli.words.options import profile_options
from emu.cli.words.reading import file
from emu.cli.words.requests import ProfileWords
from emu.counted import counted
from emu.engine.slots import Slot
from emu.engine.translated.features.calls import Calls
from emu.errors import ConfigError
from emu.firmware.names import Names
from emu.observe.calls.tree import CallTree, Node, folded
from emu.record.hits import HitCounter, Hits
from emu.record.magic import is_recording
from emu.record.recorder import Following
from emu.report import profile
from emu.report.places import PlaceNames
from emu.terminal.signals import Signals
from linker.commands.files import write_whole

options = profile_options


def main(words: Sequence[str], _signals: Signals) -> int:
    """Run or read, and print the report. Raises RecordingError for a recording without calls, and no way to them."""
    request = options().read(words, ProfileWords())
    if request.lines and request.output is not None:
        raise ConfigError("-o writes folded stacks: leave out --lines")
    lines = _by_line(request) if request.lines else _by_call(request)
    for line in lines:
        print(line)
    return 0


def _by_line(request: ProfileWords) -> Iterator[str]:
    if request.elf is not None and is_recording(request.elf):
        hits = Hits()
        with opened(file(request.elf), request.symbols) as recording:
            names = recording.names
            hits.read(recording)
    else:
        machine = new_machine(request)
        with HitCounter(machine) as counter:
            outcome = run_to_moment(machine, request)
        yield f"-- {outcome}: {counted(machine.instret, 'instruction')}"
        hits, names = counter.hits, machine.platform.names
    yield from profile.by_line(names, hits.by_address(), request.most)


def _by_call(request: ProfileWords) -> Iterator[str]:
    if request.elf is not None and is_recording(request.elf):
        with opened(file(request.elf), request.symbols, needs=("calls",)) as recording:
            first, last, pc = recording.extent()
            tree = CallTree(_symbols(recording.names), first)
            for transfer in recording.transfers():
                tree.apply(transfer)
            tree.until(last, pc)
            total = last - first
    else:
        machine = new_machine(request)
        tree = CallTree(_symbols(machine.platform.names), machine.instret)

        with ExitStack() as stack:
            following = Following(machine, [Calls(tree.apply_all)], None)
            stack.callback(following.close)
            following.start()
            outcome = run_to_moment(machine, request)
        tree.until(machine.instret, machine.core.slots[Slot.BLOCK_PC])
        total = machine.instret
        yield f"-- {outcome}: {counted(total, 'instruction')}"
    _write_folded(request, tree.root)
    show = profile.by_path if request.paths else profile.by_function
    yield from show(tree.root, total, request.most)


def _write_folded(request: ProfileWords, root: Node) -> None:
    if request.output is None:
        return
    try:
        write_whole(request.output, "".join(f"{line}\n" for line in folded(root)).encode())
    except OSError as error:
        raise ConfigError(f"{request.output} cannot be written: {error.strerror}") from None


def _symbols(names: Names) -> Callable[[int], str]:
    places = PlaceNames(names)
    return lru_cache(1 << 16)(lambda pc: places.symbol(VirtAddr(names.linked(pc))))
