"""LR and AMO need natural alignment (unprivileged manual, sections 8.2 and 8.4)."""

import pytest

LOAD_MISALIGNED, STORE_MISALIGNED = 4, 6
VALUE = 0x0807_0605_0403_0201


@pytest.mark.parametrize(("width", "offset"), [("w", 1), ("w", 2), ("w", 3), ("d", 1), ("d", 4), ("d", 7)])
@pytest.mark.parametrize("name", ["lr", "amoswap", "amoadd", "amoxor", "amoand", "amoor", "amomin", "amomaxu"])
def test_a_misaligned_atomic_traps_as_load_or_store_and_changes_nothing(boot, name, width, offset):
    operands = "a0, (a2)" if name == "lr" else "a0, a1, (a2)"
    machine = boot(
        f"""
        la t0, 1f
        csrw mtvec, t0
        la a3, data
        addi a2, a3, {offset}
        li a1, -1
        li a0, 7
        {name}.{width} {operands}
        .balign 4
     1: li t0, 0x100000
        li t1, 0x5555
        sw t1, (t0)
        .balign 8
     data: .dword {VALUE:#x}, {VALUE:#x}
        """,
        firmware="none",
    )
    machine.run(1000)
    hart = machine.hart
    assert hart.csr["mcause"] == (LOAD_MISALIGNED if name == "lr" else STORE_MISALIGNED)
    assert hart.csr["mtval"] == hart.x["a3"] + offset
    assert hart.x["a0"] == 7
    assert [machine.memory.read_int(hart.x["a3"] + at, 8) for at in (0, 8)] == [VALUE, VALUE]
