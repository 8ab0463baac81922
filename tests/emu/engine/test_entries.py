"""The handler of an `ecall` entered by native code, for both kinds of hosts, against the model; and in machines."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine.fills import table as filltable
from emu.engine.slots import SLOTS, Slot
from emu.engine.translated.features.callentries import Table
from emu.engine.translated.features.interrupted import Context, Interrupted
from emu.engine.traps.entries import BY_CORE, BY_MODEL
from emu.engine.window import Word
from emu.errors import DoubleFault
from emu.events import SyscallMade, TrapTaken
from emu.hart.traps import enter_s
from emu.isa.csrs import Csr
from emu.isa.registers import SP
from emu.isa.status import Status
from emu.machine import Machine, MachineConfig
from emu.machine.history.moment import Moment
from tests.emu.engine.exceptions import KNOWN, MODEL, PYTHON, SLOT_WORDS, STATE, TABLE, WORDS
from tests.emu.engine.test_returns import STATUSES
from tests.guests import TO_USER

PC, COUNT, TRAPS, GRANTED, BEFORE = 0x4000_1234, 1000, 7, 0x5_0000, 0x1111
CALL, ILLEGAL = 8, 2
REGISTERS = ("MSTATUS", "MEDELEG", "SEPC", "SCAUSE", "STVAL", "STVEC", "SATP")
OPEN_CALLS, INNERMOST, OUTERMOST = PYTHON + 0x800, 0x7000, 0x7100
STACK_POINTER, SATP = 0xFFFF_FFFF_8000_0430, 8 << 60 | 5
KEPT = {"sepc": BEFORE, "scause": BEFORE + 1, "stval": BEFORE + 2}


def begin_open_calls(processor, seen):
    """Let calls be open, and traps and returns be noted that Python has not seen: what Python knows by the words."""
    noted = Interrupted(dict, print)
    for number in range(seen):
        place = Context.SEEN + 3 * number
        noted.words[place : place + 3] = memoryview(array("Q", (16 * number, 0, 0x100 * (number % 2))))
    noted.words[Context.COUNT] = seen
    table = [0] * Table.END
    table[Table.INNERMOST], table[Table.OUTERMOST], table[Table.CONTEXTS] = INNERMOST, OUTERMOST, KNOWN
    processor.put(OPEN_CALLS, *table)
    processor.put(KNOWN, *noted.words)
    return noted


def open_calls(processor):
    """The innermost entry, and the words of contexts."""
    words = [processor.get(KNOWN + 8 * number) for number in range(Context.END)]
    return processor.get(OPEN_CALLS + 8 * Table.INNERMOST), words


@settings(max_examples=60, deadline=None)
@given(
    by=st.sampled_from([BY_CORE, BY_MODEL]), status=STATUSES, stvec=st.sampled_from([0x8020_0000, 0x4000_0001]),
    context=st.sampled_from([0, 5]), numbers=st.lists(st.sampled_from([0, 7, 9, 11]), min_size=8, max_size=8),
    odd=st.sampled_from([""] * 6 + ["number", "off", "S", "not delegated", "chain", "last", "full"]),
    keeps=st.booleans(),
)  # fmt: skip
def test_native_code_enters_s_mode_as_the_model_does_or_asks_it(
    processor, by, status, stvec, context, numbers, odd, keeps
):
    put, get = processor.put, processor.get
    where = {
        name: MODEL + 8 * Csr[name] if by == BY_MODEL else STATE + 8 * getattr(Word, name) for name in REGISTERS
    }  # fmt: skip
    put(WORDS, PYTHON, SLOT_WORDS, STATE)
    slots = [0] * SLOTS
    slots[Slot.ENTRIES], slots[Slot.MODEL], slots[Slot.TRANSLATIONS] = by * (odd != "off"), MODEL, TABLE
    slots[Slot.COUNT], slots[Slot.TRAPS], slots[Slot.BLOCK_PC], slots[Slot.BLOCK_LENGTH] = COUNT, TRAPS, PC - 8, 3
    slots[Slot.TRAPPED_AT] = COUNT - 1 if odd == "chain" else COUNT - 2
    slots[Slot.LAST_TRAP] = TRAPS + 1 if odd == "last" else TRAPS
    slots[Slot.KEPT] = OPEN_CALLS if keeps or odd == "full" else 0
    noted = begin_open_calls(processor, Context.MOST_SEEN if odd == "full" else 3)
    put(SLOT_WORDS, *slots)
    for name, value in {
        "MSTATUS": status, "MEDELEG": 0x5EFF if odd == "not delegated" else 0x100, "SEPC": BEFORE,
        "SCAUSE": BEFORE + 1, "STVAL": BEFORE + 2, "STVEC": stvec, "SATP": SATP,
    }.items():  # fmt: skip
        put(where[name], value)
    put(STATE + 8 * Word.PC, PC + 4)
    put(STATE + 8 * SP, STACK_POINTER)
    put(STATE + 8 * Word.PRIVILEGE, int(odd == "S"))
    put(STATE + 8 * Word.LOAD_RESERVATION, BEFORE)
    put(TABLE + 8 * filltable.CONTEXT, context)
    put(TABLE + 8 * filltable.MARK, 0)
    put(TABLE + 8 * filltable.PERMISSIONS, 1)
    put(TABLE + 8 * filltable.PERMISSION_TABLES, GRANTED)
    put(TABLE + 8 * filltable.NUMBERS, *numbers)
    index = 1 | bool(status & Status.SUM) << 1 | bool(status & Status.MXR) << 2
    changes = by == BY_MODEL and context != 0
    asks = bool(odd or status & Status.MPRV or (changes and not numbers[index]))
    assert processor.raise_exception(ILLEGAL if odd == "number" else CALL) == asks
    seen = {name: get(where[name]) for name in REGISTERS}
    if asks:
        assert seen["MSTATUS"] == status
        assert [seen[name] for name in ("SEPC", "SCAUSE", "STVAL")] == list(KEPT.values())
        assert (get(STATE + 8 * Word.PC), get(STATE + 8 * Word.PRIVILEGE)) == (PC + 4, int(odd == "S"))
        assert [get(SLOT_WORDS + 8 * slot) for slot in range(SLOTS)] == slots
        assert get(TABLE + 8 * filltable.CONTEXT) == context
        assert open_calls(processor) == (INNERMOST, noted.words.tolist())
        return
    if keeps:
        ours = Interrupted(dict, print)
        innermost, words = open_calls(processor)
        ours.words[:] = memoryview(array("Q", words))
        known = ours.saved()
        noted.trapped((STACK_POINTER, SATP), INNERMOST)
        assert innermost == OUTERMOST
        assert (known, ours.interrupted) == (noted.saved(), INNERMOST)
        assert ours.words[Context.PLACES :].tolist() == noted.words[Context.PLACES :].tolist()
    else:
        assert open_calls(processor) == (INNERMOST, noted.words.tolist())
    target = stvec & ~3
    assert seen["MSTATUS"] == enter_s(status, 0)
    assert [seen[name] for name in ("SEPC", "SCAUSE", "STVAL")] == [PC, CALL, 0]
    assert (get(STATE + 8 * Word.PC), get(STATE + 8 * Word.PRIVILEGE)) == (target, 1)
    assert get(STATE + 8 * Word.LOAD_RESERVATION) == (1 << 64) - 1
    slots[Slot.COUNT] = slots[Slot.TRAPPED_AT] = COUNT - 1
    slots[Slot.TRAPPED], slots[Slot.TRAPS], slots[Slot.BLOCK_PC], slots[Slot.BLOCK_LENGTH] = 1, TRAPS + 1, target, 0
    slots[Slot.FIRST_TRAP : Slot.FIRST_TRAP + 6] = [CALL, 0, PC, 0, 1, target]
    assert [get(SLOT_WORDS + 8 * slot) for slot in range(SLOTS)] == slots
    assert get(TABLE + 8 * filltable.CONTEXT) == (numbers[index] if changes else context)
    assert get(TABLE + 8 * filltable.PERMISSIONS) == (GRANTED + 256 * index if changes else 1)
    assert get(TABLE + 8 * filltable.MARK) == (changes and bool(status & Status.SUM))


USER = (
    TO_USER
    + """
trap:
    csrr t0, sepc
    {handler}
    addi t0, t0, 4
    csrw sepc, t0
    sret
    .balign 4096
user:
    li s0, 12
2:  addi s0, s0, -1
    ecall
    ecall                           # with nothing executed in U mode between the two
    bnez s0, 2b
    {end}
    .balign 4096
root: .zero 4096
"""
)


@pytest.mark.parametrize("listens", [(), (SyscallMade,), (TrapTaken,)])
def test_what_traps_have_left_is_the_same_at_each_moment(build, fidelity, listens):
    lives = []
    for probes in ("native", "python"):
        machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20, probes=probes))
        machine.load(build(USER.format(handler="", end="j .")))
        told: list[object] = []
        subscriptions = [machine.on(kind, told.append) for kind in listens]
        moments = []
        for turn in range(60):
            machine.run(1 + turn % 5)
            core, csr = machine.core, machine.hart.csr
            moments.append((
                machine.instret, core.traps_taken, machine.hart.pc, machine.hart.privilege, core.trap_chain,
                csr["sepc"], csr["scause"], csr["stval"], csr["sstatus"],
            ))  # fmt: skip
            if turn == 30:
                for subscription in subscriptions:
                    subscription.cancel()
        lives.append((moments, told))
    assert lives[0] == lives[1]
    assert lives[0][0][-1][1] > 20


def test_a_run_ends_right_behind_the_trap_that_was_asked_for_though_nobody_listens(build, fidelity):
    image, traps = build(USER.format(handler="", end="j .")), []
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20))
    machine.load(image)
    machine.on(TrapTaken, traps.append)
    machine.run(150)
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20))
    machine.load(image)
    for number, trap in enumerate(traps, 1):
        machine._runner.advance(Moment(trap.instret, number))
        seen = machine.instret, machine.core.traps_taken, machine.hart.pc, machine.hart.csr["sepc"]
        assert seen == (trap.instret, number, trap.handler, trap.pc)
    assert len(traps) > 10


def test_a_handler_that_cannot_be_fetched_is_told_with_the_call_that_led_to_it(build, fidelity):
    faults = []
    for probes in ("native", "python"):
        machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20, probes=probes))
        machine.load(build(USER.format(handler="csrw stvec, zero", end="ecall")))
        with pytest.raises(DoubleFault) as caught:
            machine.run(300)
        faults.append((str(caught.value), caught.value.first, caught.value.last))
    assert faults[0] == faults[1]
    assert faults[0][0].startswith("ecall from U mode at 0xc0201008")
