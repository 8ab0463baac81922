"""Every encoding decoded by someone who knows nothing of this table."""

import capstone
import pytest

from linker.assembler import AssemblerOptions, assemble
from linker.assembler.encoding.operands import Kind
from linker.assembler.encoding.rows import AddressSlot
from tests.linker.assembler import operand_values as values

UNKNOWN_TO_CAPSTONE = {
    "hret": "gone since version 1.10 of the manual",
    "sfence.vm": "gone since version 1.10 of the manual",
    "dret": "of the debug specification",
    "c.slli64": "a hint, decoded as c.slli by 0",
    "c.srli64": "a hint, decoded as c.srli by 0",
    "c.srai64": "a hint, decoded as c.srai by 0",
}
REGISTERS = ("a1", "a2", "a3", "a4", "fa1", "fa2", "fa3", "fa4", "sp")


def instructions():
    """Each row of the manual's tables; pseudo-instructions stand for one of these."""
    return [row for row in values.all_rows() if not row.alias and row.mnemonic not in UNKNOWN_TO_CAPSTONE]


def ordinary(row):
    """Operands that no pseudo-instruction has a name for: registers all different, small numbers."""
    registers = list(REGISTERS)
    texts = []
    for slot in row.slots:
        if isinstance(slot, AddressSlot):
            texts.append("16(sp)" if "sp" in slot.registers and slot.offset.high else "(a5)")
        elif isinstance(slot, dict):
            texts.append(next((name for name in registers if name in slot), None) or next(iter(slot)))
            registers = [name for name in registers if name != texts[-1]]
        elif slot.operand.kind is Kind.IMMEDIATE:
            texts.append("16" if slot.operand.accepts(16) else "4")
        else:
            texts.append(values.edges(row, slot)[0])
    return texts[: row.required] if row.signature.endswith("rm0") else texts


@pytest.mark.parametrize("row", instructions(), ids=lambda row: f"{row.mnemonic} {row.signature}")
def test_an_encoding_is_decoded_to_the_same_mnemonic(row):
    source = f"target: {row.mnemonic} {', '.join(ordinary(row))}"
    march = "rv64gc" if row.size == 2 else "rv64g"
    data = bytes(assemble(source, name="one.s", options=AssemblerOptions(march=march)).section(".text").data)
    machine = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC)
    found = next(iter(machine.disasm(data[: row.size], 0)), None)
    assert found is not None, source
    assert (found.mnemonic, found.size) == (row.mnemonic, row.size), source
