"""`ekernel dump`: run a kernel to a moment, and write an ELF core of it for gdb and drgn."""

from collections.abc import Sequence

from emu.cli.moments import limited
from emu.cli.options import dump_options
from emu.cli.requests import DumpWords
from emu.cli.run import new_machine
from emu.debug.dump import write_core
from emu.errors import ConfigError
from emu.machine import Machine
from emu.terminal.moment import Moment
from emu.terminal.signals import Signals

options = dump_options


def main(words: Sequence[str], _signals: Signals) -> int:
    """Write the core; the exit status. Raises ConfigError for a moment that is not reached."""
    request = options().read(words, DumpWords())
    machine = new_machine(request)
    run_to(machine, request.at, request.max_instructions)
    size = write_core(machine, request.output)
    print(f"{request.output}: {size >> 10:,} KiB mapped, after {machine.instret:,} instructions")
    return 0


def run_to(machine: Machine, at: str | None, limit: int | None) -> None:
    """Run to a moment, or to the end. Raises ConfigError for a moment that is not reached."""
    limit = limited(machine, limit)
    if at is None:
        machine.run(limit)
        return
    outcome = Moment(machine, at, lambda: None).run(limit)
    if outcome is not None:
        raise ConfigError(f"{at} was not reached: {outcome.description} after {machine.instret:,} instructions")
