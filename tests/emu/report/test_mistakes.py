"""What is said when a beginner's kernel does not work: the first cause first, with its line and its reason."""

import pytest

from emu.errors import MachineError
from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig
from emu.observe.faults import PageFaultObserver
from emu.report.places import Places
from emu.report.summary import Summary
from linker import link
from linker.assembler import assemble
from linker.assembler.options import AssemblerOptions
from tests.emu.report.mistakes import MISTAKES, Mistake

SCRIPT = """
    ENTRY(_start)
    SECTIONS {{ . = {base:#x}; .text : {{ *(.text) }} . = ALIGN(4096); .bss : {{ *(.bss) }} }}"""


def told(mistake: Mistake, fidelity: str) -> str:
    """Everything that is said about a run, the cause first."""
    source = f".globl _start\n.type _start, @function\n_start:\n{mistake.source}\n"
    code = assemble(source, name="mistake.S", options=AssemblerOptions(debug=True))
    base = 0x8000_0000 if mistake.firmware == "none" else 0x8020_0000
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20, firmware=mistake.firmware))
    machine.load(Image.from_bytes(link([code], script=SCRIPT.format(base=base)).elf, "mistake.elf"))
    summary = Summary(machine, PageFaultObserver(machine), Places(machine), None)
    failure = None
    try:
        machine.run(max_instructions=4000)
    except MachineError as error:
        failure = error
    cause = summary.cause(failure, orderly=False)
    assert cause is not None
    return cause


@pytest.mark.parametrize(
    ("mistake", "fidelity"),
    [
        pytest.param(mistake, fidelity, id=f"{mistake.name}, {fidelity}")
        for mistake in MISTAKES
        for fidelity in mistake.fidelities
    ],
)
def test_a_mistake_is_named_as_what_it_is(mistake: Mistake, fidelity: str) -> None:
    cause = told(mistake, fidelity)
    at = 0
    for part in mistake.said:
        found = cause.find(part, at)
        assert found >= 0, f"{part!r} is missing behind {cause[:at]!r} in {cause!r}"
        at = found + len(part)
