"""How traps are entered and left, and which interrupt is next: the rules alone, without a machine."""

from hypothesis import given
from hypothesis import strategies as st

from emu.hart.traps import INTERRUPT_PRIORITY, enter_m, enter_s, leave_m, leave_s, next_interrupt, trap_target
from emu.isa.privilege import Privilege
from emu.isa.status import Status

M64 = (1 << 64) - 1


@given(st.integers(0, M64), st.sampled_from([Privilege.U, Privilege.S]))
def test_sret_undoes_a_trap_into_s_mode(status, privilege):
    entered = enter_s(status, privilege)
    assert not entered & Status.SIE
    left, back = leave_s(entered)
    assert back == privilege
    assert left & Status.SIE == status & Status.SIE


@given(st.integers(0, M64), st.sampled_from(list(Privilege)))
def test_mret_undoes_a_trap_into_m_mode(status, privilege):
    left, back = leave_m(enter_m(status, privilege))
    assert back == privilege
    assert left & Status.MIE == status & Status.MIE
    assert privilege == Privilege.M or not left & Status.MPRV


@given(st.integers(0, 0xFFF), st.integers(0, 0xFFF), st.integers(0, M64), st.sampled_from(list(Privilege)))
def test_the_next_interrupt_obeys_delegation_enables_and_priority(pending, mideleg, status, privilege):
    pending, mideleg = pending & 0xAAA, mideleg & 0x222
    due = next_interrupt(pending, mideleg, status, privilege)
    for_m = pending & ~mideleg if privilege < 3 or status & Status.MIE else 0
    for_s = pending & mideleg if privilege < 1 or (privilege == 1 and status & Status.SIE) else 0
    chosen = for_m or for_s
    if not chosen:
        assert due is None
    else:
        order = [bit for bit in INTERRUPT_PRIORITY if bit & chosen]
        assert due == (order[0].bit_length() - 1, Privilege.M if for_m else Privilege.S)


def test_only_interrupts_are_vectored():
    assert trap_target(0x1001, 7, interrupt=True) == 0x101C
    assert trap_target(0x1000, 7, interrupt=True) == 0x1000
