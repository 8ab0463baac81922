"""`ekernel dump`: run a kernel to a moment, and write an ELF core of it for gdb and drgn."""

from collections.abc import Sequence

from emu.cli.shared.machines import new_machine
from emu.cli.shared.moments import run_to
from emu.cli.words.options import dump_options
from emu.cli.words.requests import DumpWords
from emu.counted import counted
from emu.debug.dump import write_core
from emu.terminal.signals import Signals

options = dump_options


def main(words: Sequence[str], _signals: Signals) -> int:
    """Write the core; the exit status. Raises ConfigError for a moment that is not reached."""
    request = options().read(words, DumpWords())
    machine = new_machine(request)
    run_to(machine, request.at, request.max_instructions)
    size = write_core(machine, request.output)
    print(f"{request.output}: {size >> 10:,} KiB mapped, after {counted(machine.instret, 'instruction')}")
    return 0
