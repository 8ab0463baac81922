"""`sret` in native code, for both kinds of hosts, against the model; and in machines that are told of it or not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine.csrs.layout import LINES
from emu.engine.fills import table as filltable
from emu.engine.guest import Note
from emu.engine.slots import SLOTS, Slot
from emu.engine.window import Word
from emu.events import TrapReturned, TrapTaken
from emu.hart.traps import leave_s
from emu.isa.csrs import Csr
from emu.isa.status import Status
from emu.machine import Machine, MachineConfig, StopReason
from tests.emu.engine.exceptions import KNOWN, MODEL, PYTHON, SLOT_WORDS, STATE, TABLE, WORDS
from tests.guests import TO_USER

BLOCK, PLACE, PC, SEPC, GRANTED = 77, 0x12, 0x8020_0012, 0x4000_1234, 0x5_0000
STATUSES = st.lists(st.sampled_from(list(Status))).map(lambda bits: sum({int(bit) for bit in bits}) & (1 << 63) - 1)


@settings(max_examples=60, deadline=None)
@given(
    status=STATUSES, pending=st.sampled_from([0, 0, 2, 0x20]), lines=st.sampled_from([0, 0, 0x200]),
    enabled=st.sampled_from([0, 0x222]), context=st.sampled_from([0, 5]),
    numbers=st.lists(st.sampled_from([0, 7, 9, 11]), min_size=8, max_size=8),
    odd=st.sampled_from([""] * 6 + ["number", "place", "block", "off", "U", "another"]),
    marks=st.booleans(),
)  # fmt: skip
def test_native_code_leaves_s_mode_as_the_model_does_or_asks_it(
    processor, status, pending, lines, enabled, context, numbers, odd, marks
):
    put = processor.put
    put(WORDS, PYTHON, SLOT_WORDS, STATE)
    put(SLOT_WORDS, *([0] * SLOTS))
    put(SLOT_WORDS + 8 * Slot.RETURNS, KNOWN * (odd != "off"))
    put(SLOT_WORDS + 8 * Slot.MODEL, MODEL)
    put(SLOT_WORDS + 8 * Slot.BLOCK, {"block": 0, "another": BLOCK + 256}.get(odd, BLOCK))
    put(SLOT_WORDS + 8 * Slot.BLOCK_PC, PC - PLACE - 2 * (odd == "place"))
    put(SLOT_WORDS + 8 * Slot.TRANSLATIONS, TABLE)
    put(KNOWN, *([0] * 512))
    put(KNOWN + 16 * (BLOCK % 256), BLOCK << 12 | PLACE)
    put(STATE + 8 * Word.PC, PC + 4)
    put(STATE + 8 * Word.PRIVILEGE, int(odd != "U"))
    put(STATE + 8 * Word.LOAD_RESERVATION, SEPC)
    for number, value in {
        Csr.MSTATUS: status, Csr.MIP: pending, LINES: lines, Csr.MIE: enabled, Csr.SEPC: SEPC,
    }.items():  # fmt: skip
        put(MODEL + 8 * number, value)
    put(TABLE + 8 * filltable.CONTEXT, context)
    put(TABLE + 8 * filltable.MARK, marks)
    put(TABLE + 8 * filltable.PERMISSIONS, 1)
    put(TABLE + 8 * filltable.PERMISSION_TABLES, GRANTED)
    put(TABLE + 8 * filltable.NUMBERS, *numbers)
    expected, privilege = leave_s(status)
    index = bool(expected & Status.SUM) << 1 | bool(expected & Status.MXR) << 2
    enters = privilege == 0 and context != 0
    asks = bool(odd or status & (Status.TSR | Status.MPRV) or (pending | lines) & enabled)
    asks = asks or (enters and not numbers[index])
    assert processor.raise_exception(8 if odd == "number" else 2) == asks
    if asks:
        expected, privilege, enters = status, int(odd != "U"), False
    assert processor.get(MODEL + 8 * Csr.MSTATUS) == expected
    assert processor.get(STATE + 8 * Word.PRIVILEGE) == privilege
    assert processor.get(STATE + 8 * Word.PC) == (PC + 4 if asks else SEPC)
    assert processor.get(STATE + 8 * Word.LOAD_RESERVATION) == (SEPC if asks else (1 << 64) - 1)
    assert processor.get(TABLE + 8 * filltable.CONTEXT) == (numbers[index] if enters else context)
    assert processor.get(TABLE + 8 * filltable.PERMISSIONS) == (GRANTED + 256 * index if enters else 1)
    assert processor.get(TABLE + 8 * filltable.MARK) == (marks and not enters)


def test_while_nobody_may_be_asked_a_note_is_left(processor):
    processor.put(WORDS, PYTHON, SLOT_WORDS, STATE)
    processor.put(SLOT_WORDS, *([0] * SLOTS))
    processor.put(SLOT_WORDS + 8 * Slot.ALONE, Note.ALONE)
    processor.put(SLOT_WORDS + 8 * Slot.STOP, PYTHON)
    processor.raise_exception(2)
    assert processor.get(SLOT_WORDS + 8 * Slot.ALONE) == Note.ALONE | Note.EXCEPTION | 2 << 8


USER = (
    TO_USER
    + """
trap:
    csrr t0, scause
    add s2, s2, t0
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    beqz s0, 1f
    andi t1, s0, 7
    bnez t1, 2f
    csrw sstatus, zero              # SPP is U's already: all else goes
2:  sret
1:  li a7, 8
    ecall
    .balign 4096
user:
    li s0, 40
2:  addi s0, s0, -1
    ecall
    csrr t2, sscratch               # not for U mode: a trap of another kind
    j 2b
    .balign 4096
root: .zero 4096
"""
)


@pytest.mark.parametrize("listens", [(), (TrapReturned,), (TrapTaken, TrapReturned)])
def test_a_program_lives_the_same_with_native_returns_and_without(build, listens):
    lives = []
    for probes in (None, "python"):
        machine = Machine(MachineConfig(ram_size=16 << 20, probes=probes))
        machine.load(build(USER))
        told = []
        subscriptions = [machine.on(kind, told.append) for kind in listens]
        privileges = []
        while machine.run(37).reason is StopReason.INSTRUCTION_LIMIT:
            privileges.append((machine.hart.privilege, machine.hart.pc, machine.instret))
            if len(privileges) == 5:
                for subscription in subscriptions:
                    subscription.cancel()
        lives.append((told, privileges, machine.instret, machine.hart.x["s2"]))
    assert lives[0] == lives[1]
    assert lives[0][3] > 8 * 40
    assert {privilege for privilege, _, _ in lives[0][1]} == {0, 1}
