"""CSR instructions in native code, for both kinds of hosts, against a model in Python; and machines side by side."""

import ctypes
import struct

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.engine import native
from emu.engine.csrs import ACCESS, MAY_ACCESS
from emu.engine.csrs.layout import FORCED, LINES, NUMBERS_IN_CORE, Kind
from emu.engine.fills import table as filltable
from emu.engine.slots import Slot
from emu.engine.translated.layout import CORE_STATE
from emu.engine.window import Word
from emu.isa.csrs import Csr
from emu.isa.status import MSTATUS_WRITE, SSTATUS_READ, SSTATUS_WRITE, XLEN_64, Status
from emu.machine import Machine, MachineConfig
from tests.emu.engine.hosts import HOSTS, JUNK
from tests.oracles import keystone

CODE, STACK, STATE, SLOTS, MODEL, TABLE, FUNCTIONS, RESULT, RETURN, TRANSLATIONS = range(
    0x10_0000, 0xB0_0000, 0x10_0000
)
FORGET, GRANTED = FUNCTIONS + 0x1000, 0x5_0000
KINDS = MODEL + 8 * 4096
SIZE = 0x4_0000
REFUSED = 0xFFFF_FFFF
ALL = (1 << 64) - 1
FS, SD, MPP, SUM = int(Status.FS), int(Status.SD), int(Status.MPP), int(Status.SUM)
ALLOWED, READ, WRITE, BOTH = range(0, 64, 16)


class Processor:
    """One of the two processors; the library's own functions are played by Python."""

    def __init__(self, architecture: str) -> None:
        self.host = host = HOSTS[architecture]
        self.core = core = unicorn.Uc(*host.engine)
        for base in (CODE, STACK, STATE, SLOTS, MODEL, TABLE, FUNCTIONS, RESULT, RETURN):
            core.mem_map(base, SIZE)
        core.mem_map(TRANSLATIONS, 8 * filltable.WORDS + 0xFFF & -0x1000)
        self.places = {}
        for number, probe in enumerate((MAY_ACCESS, ACCESS)):
            self.places[probe.name] = CODE + 0x1000 * number
            code = native.assemble(probe, architecture)
            core.mem_write(self.places[probe.name], code[:-8] + struct.pack("<Q", TABLE))
        for offset in range(0, 64, 16):
            core.mem_write(FUNCTIONS + offset, host.returning)
        core.hook_add(unicorn.UC_HOOK_CODE, self._called, begin=FUNCTIONS, end=FUNCTIONS + 63)
        self.libraries = 0
        """The value that the library keeps of every CSR."""
        self.calls: list[int] = []
        core.mem_write(FORGET, host.returning)
        core.hook_add(unicorn.UC_HOOK_CODE, self._forgets, begin=FORGET, end=FORGET)
        self.forgotten: list[int] = []

    def _forgets(self, _core: unicorn.Uc, _address: int, _size: int, _data: object) -> None:
        its_core, page = self.host.called(self.core)[:2]
        assert its_core == STATE - CORE_STATE[self.host.architecture]
        self.forgotten.append(page)
        self.host.answer(self.core, JUNK)

    def call(self, name: str, *arguments: int) -> int:
        return self.host.call(self.core, self.places[name], RETURN, STACK + 0x8000, arguments) & 0xFFFF_FFFF

    def _called(self, core: unicorn.Uc, address: int, _size: int, _data: object) -> None:
        function = address - FUNCTIONS
        self.calls.append(function)
        state, number, third, fourth, fifth = self.host.called(core)
        assert (state, number & 0xFFFF_FFFF >= 4) == (STATE, True)
        if function in (READ, BOTH) and third:
            core.mem_write(third, struct.pack("<Q", self.libraries))
        if function == WRITE:
            self.libraries = third
        elif function == BOTH:
            self.libraries = self.libraries & ~fifth | fourth & fifth
        self.host.answer(core, 0)

    def write(self, address: int, value: int) -> None:
        self.core.mem_write(address, struct.pack("<Q", value))

    def read(self, address: int) -> int:
        return int.from_bytes(self.core.mem_read(address, 8), "little")


@pytest.fixture(scope="module", params=list(HOSTS))
def processor(request):
    keystone()
    return Processor(request.param)


VALUES = st.one_of(
    st.integers(0, ALL), st.sampled_from([0, 2, ALL, FS, 0x2000, MPP, 0x1000, 0x7E79AA]),
    st.lists(st.sampled_from(list(Status))).map(lambda bits: sum({int(bit) & ALL for bit in bits}) & ALL),
)  # fmt: skip
NUMBERS = st.sampled_from([0x100, 0x140, 0x141, 0x300, 0x341])


def prepare(processor, number, kind, *, functions, known=True):
    processor.write(STATE + 8 * Word.RDTIME_FUNCTION, SLOTS if known else 0)
    processor.write(SLOTS + 8 * Slot.MODEL, MODEL)
    processor.core.mem_write(KINDS + number, bytes([kind]))
    entry = TABLE + 32 * number
    for place, function in enumerate((ALLOWED, READ, WRITE, BOTH)):
        processor.write(entry + 8 * place, FUNCTIONS + function if function in functions else 0)
    processor.calls.clear()


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(Kind), number=NUMBERS, known=st.booleans())
def test_what_is_refused_and_what_the_library_decides(processor, kind, number, known):
    prepare(processor, number, kind, functions=(ALLOWED,), known=known)
    answer = processor.call("may_access", STATE, number)
    asks_library = not known or kind is Kind.CORE
    assert processor.calls == ([ALLOWED] if asks_library else [])
    if kind is not Kind.TIME or asks_library:
        assert answer == (REFUSED if kind is Kind.REFUSED and not asks_library else 0)


@pytest.mark.parametrize("tick", [0, 10])
@pytest.mark.parametrize("privilege", [0, 1])
@pytest.mark.parametrize(("machine", "supervisor"), [(0xFD, 0xFF), (2, 0xFD), (7, 7)])
def test_time_is_the_clocks_where_the_models_counters_are_open_to_who_asks(
    processor, tick, privilege, machine, supervisor
):
    prepare(processor, Csr.TIME, Kind.TIME, functions=(ALLOWED,))
    processor.write(SLOTS + 8 * Slot.TICK, tick)
    processor.write(STATE + 8 * Word.PRIVILEGE, privilege)
    processor.write(MODEL + 8 * Csr.MCOUNTEREN, machine)
    processor.write(MODEL + 8 * Csr.SCOUNTEREN, supervisor)
    is_open = tick and machine & 2 and (privilege or supervisor & 2)
    assert processor.call("may_access", STATE, Csr.TIME) == (0 if is_open else REFUSED)
    assert not processor.calls


@settings(max_examples=120, deadline=None)
@given(
    kind=st.sampled_from([Kind.CORE, Kind.EVEN_IN_CORE, Kind.PLAIN, Kind.EVEN]), number=NUMBERS, old=VALUES,
    new=VALUES, mask=st.one_of(st.just(0), st.just(ALL), VALUES), wants=st.booleans(),
    functions=st.sampled_from([(READ, WRITE), (BOTH,), (READ,), ()]), known=st.booleans(),
)  # fmt: skip
def test_plain_values_change_as_the_instruction_says(processor, kind, number, old, new, mask, wants, functions, known):
    is_even = known and kind in (Kind.EVEN, Kind.EVEN_IN_CORE)
    old &= ~1 if is_even else ALL
    in_model = known and kind in (Kind.PLAIN, Kind.EVEN)
    prepare(processor, number, kind, functions=functions, known=known)
    place = MODEL + 8 * number
    processor.libraries = 0 if in_model else old
    processor.write(place, old if in_model else 0)
    processor.write(RESULT, JUNK)
    answer = processor.call("access", STATE, number, RESULT if wants else 0, new, mask)
    if not in_model and not functions:
        assert answer == REFUSED
        return
    assert answer == 0
    assert processor.read(RESULT) == (old if wants else JUNK)
    expected = old & ~mask | new & mask
    if is_even:
        expected &= ~1
    if not in_model and functions == (READ,):
        expected = old
    assert (processor.read(place) if in_model else processor.libraries) == expected


@settings(max_examples=250, deadline=None)
@given(
    status=VALUES, core=VALUES, new=VALUES, mask=st.sampled_from([0, 2, ALL, FS, 0x2002, SUM, SUM | 0x122]),
    pending=st.sampled_from([0, 2, 0x20]), lines=st.sampled_from([0, 0x200]), enabled=st.sampled_from([0, 2, 0x222]),
    context=st.sampled_from([0, 5]), numbers=st.lists(st.sampled_from([0, 7, 9]), min_size=8, max_size=8),
    marked=st.sampled_from([0, 0, 1, 3, filltable.MOST_MARKS, filltable.MOST_MARKS + 1]),
)  # fmt: skip
def test_the_models_sstatus_is_served_while_nothing_comes_of_it_but_another_context(
    processor, status, core, new, mask, pending, lines, enabled, context, numbers, marked
):
    status &= ~SD
    prepare(processor, 0x100, Kind.SSTATUS, functions=())
    pages = [0x4000_0000 + 0x1000 * number for number in range(filltable.MOST_MARKS)]
    for number, value in {Csr.MSTATUS: status, Csr.MIP: pending, LINES: lines, Csr.MIE: enabled}.items():
        processor.write(MODEL + 8 * number, value)
    table = {
        filltable.CONTEXT: context, filltable.MARK: status >> 18 & 1, filltable.MARKED: marked,
        filltable.PERMISSIONS: 1, filltable.PERMISSION_TABLES: GRANTED,
        **dict(enumerate(numbers, filltable.NUMBERS)), **dict(enumerate(pages, filltable.MARKS)),
    }  # fmt: skip
    for word, value in table.items():
        processor.write(TRANSLATIONS + 8 * word, value)
    processor.write(SLOTS + 8 * Slot.TRANSLATIONS, TRANSLATIONS)
    processor.write(SLOTS + 8 * Slot.FORGET_PAGE, FORGET)
    processor.forgotten.clear()
    processor.write(STATE + 8 * Word.MSTATUS, core)
    processor.write(RESULT, JUNK)
    answer = processor.call("access", STATE, 0x100, RESULT, new, mask)
    old = status | FS if status & FS and FS in (status & FS, core & FS) else status
    wanted = old & ~(mask & SSTATUS_WRITE) | new & mask & SSTATUS_WRITE
    rises, changed = wanted & 2 and not old & 2, old ^ wanted
    index = 1 | (wanted >> 18 & 1) << 1 | (wanted >> 19 & 1) << 2
    forgets = changed & SUM and old & SUM
    refuses = changed & ~(SUM | FS | 0x122) or (rises and (pending | lines) & enabled)
    refuses = refuses or (changed & SUM and context and not numbers[index])
    refuses = refuses or (forgets and marked > filltable.MOST_MARKS)
    if refuses:
        assert answer == REFUSED
        assert processor.read(MODEL + 8 * Csr.MSTATUS) == status
        assert {word: processor.read(TRANSLATIONS + 8 * word) for word in table} == table
        assert not processor.forgotten
        return
    assert answer == 0
    assert processor.read(RESULT) == (old | (SD if old & FS == FS else 0)) & SSTATUS_READ
    if mask & SSTATUS_WRITE:
        assert processor.read(MODEL + 8 * Csr.MSTATUS) == wanted
        assert processor.read(STATE + 8 * Word.MSTATUS) == core & ~FS | wanted & FS
    if changed & SUM and context:
        table[filltable.CONTEXT], table[filltable.MARK] = numbers[index], wanted >> 18 & 1
        table[filltable.PERMISSIONS] = GRANTED + 256 * index
    assert sorted(processor.forgotten) == (pages[:marked] if forgets else [])
    if forgets:
        table[filltable.MARKED] = 0
    assert {word: processor.read(TRANSLATIONS + 8 * word) for word in table} == table


@settings(max_examples=150, deadline=None)
@given(
    number=st.sampled_from([0x100, 0x300]), status=VALUES, new=VALUES, wants=st.booleans(),
    mask=st.sampled_from([0, 8, ALL, FS, MPP, 1 << 21, 1 << 22]), forced=st.sampled_from([0, 1 << 30]),
)  # fmt: skip
def test_the_cores_status_has_the_manuals_fields(processor, number, status, new, wants, mask, forced):
    moved = int(Status.TW | Status.TSR)
    guests = (status & MSTATUS_WRITE) | XLEN_64
    prepare(processor, number, Kind.STATUS_IN_CORE, functions=())
    processor.write(TABLE + 32 * 0x300 + 16, FUNCTIONS + WRITE)
    processor.write(MODEL + 8 * FORCED, forced)
    processor.write(STATE + 8 * Word.MSTATUS, guests | (guests & moved) << 8 | forced)
    processor.write(RESULT, JUNK)
    assert processor.call("access", STATE, number, RESULT if wants else 0, new, mask) == 0
    old = guests | (SD if guests & FS == FS else 0)
    seen, mask = (old & SSTATUS_READ, mask & SSTATUS_WRITE) if number == 0x100 else (old, mask & MSTATUS_WRITE)
    assert processor.read(RESULT) == (seen if wants else JUNK)
    wanted = old & ~mask | new & mask
    if wanted & MPP == 0x1000:
        wanted = wanted & ~MPP | old & MPP
    kept = processor.read(STATE + 8 * Word.MSTATUS)
    assert kept & ~SD == (wanted | (wanted & moved) << 8 | forced) & ~SD
    assert processor.calls == ([WRITE] if mask else [])
    if mask:
        assert processor.libraries == wanted


def test_all_numbers_that_the_library_has_functions_for_are_known():
    entry = (ctypes.c_uint64 * 4)()
    operations = unicorn.unicorn_py3.unicorn.uclib.riscv_get_csr_ops_riscv64
    have = set()
    for number in range(4096):
        operations(number, entry)
        if any(entry):
            have.add(number)
    assert Csr.SATP in have
    assert have <= set(NUMBERS_IN_CORE)


def test_machines_at_the_same_time_and_other_cores_keep_their_csrs_apart(build):
    source = "li t0, {n}\n csrw sscratch, t0\n nop\n 1: csrr a0, sscratch\n j 1b"
    machines = []
    for n in (11, 22):
        machines.append(Machine(MachineConfig(ram_size=4 << 20)))
        machines[-1].load(build(source.format(n=n)))
    foreign = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
    foreign.mem_map(0x1000, 0x1000)
    foreign.mem_write(0x1000, bytes.fromhex("73900214 73250014 73254030 13000000"))  # csrw sscratch, t0; csrr a0; mie
    foreign.reg_write(unicorn.riscv_const.UC_RISCV_REG_T0, 33)
    for count in (4, 6, 8):
        for machine in machines:
            machine.run(count)
        foreign.emu_start(0x1000, 0x1010)
    assert [machine.hart.x["a0"] for machine in machines] == [11, 22]
    assert [machine.hart.csr["sscratch"] for machine in machines] == [11, 22]
    assert foreign.reg_read(unicorn.riscv_const.UC_RISCV_REG_SSCRATCH) == 33
