"""What the commands share that look at one moment of a run."""

from pathlib import Path

from emu.cli.options import HeapWords
from emu.machine import Machine
from emu.record.container import MAGIC


def is_recording(path: Path | None) -> bool:
    """Whether a file that was named is a recording, and no kernel."""
    if path is None:
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False  # told by whoever reads it as a kernel


def run_to_moment(machine: Machine, request: HeapWords) -> str:
    """Run to the moment that was asked for, or to the end; what came."""
    at, limit = request.at, request.max_instructions
    if at is None:
        return machine.run(limit).description
    if at.replace(",", "").isdigit():
        return machine.run(int(at.replace(",", ""))).description
    address = machine.address_of(at)
    outcome = machine.run(limit, until=address)
    return f"{at} is reached" if machine.hart.pc == address else f"{outcome.description}, {at} was not reached"
