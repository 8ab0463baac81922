"""`ekernel drgn`: run a kernel to a moment, and open drgn's shell on it."""

from collections.abc import Sequence

from emu.cli.shared.machines import new_machine
from emu.cli.shared.moments import run_to
from emu.cli.words.options import drgn_options
from emu.cli.words.requests import DrgnWords
from emu.debug.drgn import program
from emu.terminal.signals import Signals

options = drgn_options


def main(words: Sequence[str], _signals: Signals) -> int:
    """Open the shell, with `prog` and `machine`; the exit status. Raises ConfigError where drgn is not installed."""
    request = options().read(words, DrgnWords())
    machine = new_machine(request)
    run_to(machine, request.at, request.max_instructions)
    made = program(machine, request.symbols or [path for path in (request.kernel, request.elf) if path is not None])
    from drgn.cli import run_interactive

    run_interactive(
        made,
        banner_func=lambda banner: f"{banner}\n`machine` is the machine, after {machine.instret:,} instructions",
        globals_func=lambda known: {**known, "machine": machine},
    )
    return 0
