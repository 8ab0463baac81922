"""A machine handed to gdb from its first word to the end, with all words of the monitor."""

import sys
from contextlib import closing

from emu.debug.gdb import GdbServer
from emu.machine import Machine, Outcome
from emu.terminal.monitor import Monitor


def serve_gdb(machine: Machine, address: str, *, halted: bool = True) -> Outcome:
    """See `Machine.serve_gdb`."""
    with (
        closing(Monitor(machine)) as monitor,
        GdbServer(machine, address, halted=halted, monitor=monitor.answer) as server,
    ):
        say_where(server)
        return server.serve()


def say_where(server: GdbServer) -> None:
    """Say that gdb can come, and to which address."""
    print(f"ekernel: waiting for gdb at {server.address}", file=sys.stderr, flush=True)
