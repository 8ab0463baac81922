"""The native probes of both kinds of hosts, run in Unicorn's x86-64 and AArch64, against a model in Python."""

import ctypes
import struct
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import unicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.address import PAGE_BITS
from emu.engine import native
from emu.engine.assembled import ASSEMBLED
from emu.engine.calls.alone import EXCEPTION, INVALID
from emu.engine.codepages import FOLLOW
from emu.engine.counters import MAY_READ_TIME, ONLY_ELSEWHERE, READ_TIME
from emu.engine.guest import NUMBER_SHIFT, RETURN_ADDRESS, Note
from emu.engine.slots import Slot
from emu.engine.translated.layout import CORE_STATE as STATE_IN_CORE
from emu.engine.translated.layout import ENV_ENGINE
from emu.engine.traps.interrupts import ASKED
from emu.engine.window import Word
from emu.hart.traps import next_interrupt
from tests.emu.engine import assembling
from tests.emu.engine.hosts import HOSTS, JUNK
from tests.oracles import keystone

PROBES = (FOLLOW, MAY_READ_TIME, READ_TIME, ONLY_ELSEWHERE, ASKED, EXCEPTION, INVALID)
CODE, STACK, DATA, FUNCTIONS, SITES = 0x1_0000, 0x10_0000, 0x20_0000, 0x30_0000, 0x4000_0000
STACK_SIZE, PAGE = 0x1_0000, 0x1000
WORDS, BLOCK_DESCRIPTION, BITMAP, CORE = DATA, DATA + 0x400, DATA + 0x800, DATA + 0x2000
ENGINE, STATE, CLOCK = 0x7777_0000_1234_5678, DATA + 0x1_0000, DATA + 0x1000
STOP = FUNCTIONS + 128
ALL = (1 << 64) - 1


class Processor:
    """One of the two processors, with the probes in its memory and two functions for them to call."""

    def __init__(self, architecture: str) -> None:
        self.host = host = HOSTS[architecture]
        self.core = core = unicorn.Uc(*host.engine)
        for base, size in ((CODE, 0x1_0000), (STACK, STACK_SIZE), (DATA, 0x2_0000), (FUNCTIONS, PAGE),
                           (SITES, 0x10_0000)):  # fmt: skip
            core.mem_map(base, size)
        self.code = {}
        for number, probe in enumerate(PROBES):
            self.code[probe.name] = address = CODE + number * PAGE
            core.mem_write(address, native.assemble(probe, architecture))
        for offset in (0, 64, 128):
            core.mem_write(FUNCTIONS + offset, host.returning)
        core.hook_add(unicorn.UC_HOOK_CODE, self._called, begin=FUNCTIONS, end=FUNCTIONS + PAGE - 1)
        self.calls: list[tuple[int, ...]] = []
        self.answer: Callable[[int, tuple[int, ...]], int] = lambda _function, _arguments: 0

    def call(self, name: str, site: int, *arguments: int) -> int:
        """Call a probe from `site` with a full set of registers that it has to leave alone; return its result."""
        return self.host.call(self.core, self.code[name], site, STACK + STACK_SIZE - 0x100, arguments, state=STATE)

    def _called(self, core: unicorn.Uc, address: int, _size: int, _data: object) -> None:
        arguments = tuple(self.host.called(core))
        self.calls.append((address - FUNCTIONS, arguments[0]))
        self.host.answer(core, self.answer(address - FUNCTIONS, arguments))

    def may_not_ask(self, alone: bool) -> None:
        """Have nobody called meanwhile, or have it; the state points to slots."""
        self.write_words(STATE + 8 * Word.RDTIME_FUNCTION, CLOCK)
        self.write_words(STATE + ENV_ENGINE, ENGINE)
        self.write_words(CLOCK + 8 * Slot.ALONE, Note.ALONE if alone else 0)
        self.write_words(CLOCK + 8 * Slot.STOP, STOP)
        self.calls.clear()

    @property
    def note(self) -> int:
        return self.words(CLOCK + 8 * Slot.ALONE, 1)[0]

    def words(self, address: int, count: int) -> list[int]:
        return list(struct.unpack(f"<{count}Q", self.core.mem_read(address, 8 * count)))

    def write_words(self, address: int, *values: int) -> None:
        self.core.mem_write(address, struct.pack(f"<{len(values)}Q", *values))


@pytest.fixture(scope="module", params=list(HOSTS))
def processor(request: pytest.FixtureRequest) -> Processor:
    keystone()
    return Processor(request.param)


def test_the_code_that_is_kept_is_what_its_source_says():
    keystone()
    assert assembling.FILE.read_text() == assembling.text(), "run `make probes`"


COUNTS = st.one_of(st.integers(0, 8), st.integers(0, ALL))
HOST_RAM, SIZE = 0x7FBF_E5E0_0000, 0x100_0000
EDGES = st.sampled_from([-1, 0, SIZE - 1, SIZE])
OFFSETS = st.one_of(st.none(), EDGES, st.integers(0, SIZE - 1), st.integers(0, ALL))


@settings(max_examples=150)
@given(
    blocks=st.lists(
        st.tuples(st.booleans(), st.integers(0, (1 << 60) - 1), st.integers(0, 5000), OFFSETS, OFFSETS), max_size=12
    )
)
def test_each_new_page_with_code_is_told_once(processor, blocks):
    processor.write_words(WORDS, HOST_RAM, SIZE, BITMAP, FUNCTIONS, FUNCTIONS + 64, STATE)
    processor.write_words(BITMAP, *([0] * (SIZE >> PAGE_BITS + 6)))
    processor.calls.clear()
    told: list[int] = []
    asked: list[tuple[int, int]] = []
    answers: list[int | None] = []

    def answer(function: int, arguments: tuple[int, ...]) -> int:
        if function == 64:
            told.append(arguments[0])
            return 0
        if function:
            assert arguments[0] == ENGINE
            return JUNK
        state, address, result, *_ = arguments
        assert state == STATE
        offset = answers[len(asked)]
        asked.append((address, result))
        if offset is None:
            return ALL
        processor.write_words(result, (HOST_RAM + offset) & ALL)
        return offset & ALL

    processor.answer = answer
    seen: set[int] = set()
    for alone, pc, size, *offsets in blocks:
        processor.may_not_ask(alone)
        asked.clear()
        told.clear()
        answers[:] = offsets
        processor.core.mem_write(BLOCK_DESCRIPTION, struct.pack("<QHH", pc, 1, size))
        processor.call("follow", SITES, ENGINE, BLOCK_DESCRIPTION, 0, WORDS)
        last = pc + max(size, 1) - 1
        assert [address for address, _ in asked] == ([pc, last] if pc >> 12 != last >> 12 else [pc])
        expected = []
        for offset in offsets[: len(asked)]:
            if offset is not None and 0 <= offset < SIZE and offset >> PAGE_BITS not in seen:
                seen.add(offset >> PAGE_BITS)
                expected.append(offset)
        assert told == ([] if alone else expected)
        assert processor.note == (Note.ALONE | (Note.CODE if expected else 0) if alone else 0)
        assert [function for function, *_ in processor.calls].count(128) == (len(expected) if alone else 0)
    bits = sum(word << 64 * number for number, word in enumerate(processor.words(BITMAP, SIZE >> PAGE_BITS + 6)))
    assert bits == sum(1 << page for page in seen)


@settings(max_examples=150)
@given(
    known=st.booleans(), tick=st.sampled_from([0, 1, 10]), privilege=st.sampled_from([0, 1, 3]),
    mcounteren=st.integers(0, 7), scounteren=st.integers(0, 7),
    count=st.integers(1, ALL), slept=COUNTS, offset=COUNTS,
)  # fmt: skip
def test_time_is_read_where_the_manual_allows_it(
    processor, known, tick, privilege, mcounteren, scounteren, count, slept, offset
):
    words = {
        Word.RDTIME_FUNCTION: WORDS if known else 0, Word.PRIVILEGE: privilege,
        Word.MCOUNTEREN: mcounteren, Word.SCOUNTEREN: scounteren,
    }  # fmt: skip
    for word, value in words.items():
        processor.write_words(CORE + 8 * word, value)
    for slot, value in {Slot.COUNT: count, Slot.TICK: tick, Slot.SLEPT: slept, Slot.TIME_OFFSET: offset}.items():
        processor.write_words(WORDS + 8 * slot, value)
    enabled = {3: 2, 1: mcounteren, 0: mcounteren & scounteren}[privilege] & 2
    refused = processor.call("may_read_time", SITES, CORE, 0xC01, 0, 0) >> 31 & 1
    assert refused == (not (known and tick and enabled))
    assert processor.call("only_elsewhere", SITES, CORE, 0xB00, 0, 0) & 0xFFFF_FFFF == (0xFFFF_FFFF if known else 0)
    if not refused:
        assert processor.call("read_time", SITES, CORE, 0xC01, BITMAP, 0) & 0xFFFF_FFFF == 0
        assert processor.words(BITMAP, 1) == [(((count + slept - 1) & ALL) // tick + offset) & ALL]


SOME_INTERRUPTS = st.sampled_from([0, 2, 8, 0x20, 0x80, 0x222, 0x888, 0xAAA])


@settings(max_examples=300)
@given(
    is_hard=st.booleans(), pending=SOME_INTERRUPTS, enabled=SOME_INTERRUPTS, delegated=st.sampled_from([0, 2, 0x222]),
    privilege=st.sampled_from([0, 1, 3]), status=st.sampled_from([0, 2, 8, 10]), alone=st.booleans(),
)  # fmt: skip
def test_an_interrupt_is_offered_exactly_when_one_is_due(
    processor, is_hard, pending, enabled, delegated, privilege, status, alone
):
    state = CORE + STATE_IN_CORE[processor.host.architecture]
    words = {
        Word.RDTIME_FUNCTION: WORDS, Word.MIP: pending, Word.MIE: enabled, Word.MIDELEG: delegated,
        Word.PRIVILEGE: privilege, Word.MSTATUS: status,
    }  # fmt: skip
    for word, value in words.items():
        processor.write_words(state + 8 * word, value)
    processor.write_words(WORDS + 8 * Slot.INTERRUPT, FUNCTIONS)
    processor.write_words(WORDS + 8 * Slot.ALONE, Note.ALONE if alone else 0)
    processor.write_words(WORDS + 8 * Slot.STOP, STOP)
    is_due = is_hard and next_interrupt(pending & enabled, delegated, status, privilege) is not None
    processor.answer = lambda _function, _arguments: 0
    processor.calls.clear()
    taken = processor.call("interrupt", SITES, CORE, 2 if is_hard else 4, 0, 0) & 0xFF
    assert (taken, len(processor.calls)) == (is_due and not alone, is_due)
    if alone:
        assert processor.words(WORDS + 8 * Slot.ALONE, 1) == [Note.ALONE | (Note.INTERRUPT if is_due else 0)]


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(("number", "pc"), [(12, RETURN_ADDRESS), (12, 0x1000), (2, RETURN_ADDRESS), (8, 0x8000_0000)])
def test_an_exception_is_told_at_once_or_noted_for_later(processor, number, pc, alone):
    processor.answer = lambda _function, _arguments: 0
    processor.may_not_ask(alone)
    processor.write_words(STATE + 8 * Word.PC, pc + 4)
    processor.write_words(WORDS, FUNCTIONS, CLOCK, STATE)
    processor.call("exception_alone", SITES, ENGINE, number, WORDS, 0)
    assert processor.calls == [(128 if alone else 0, ENGINE)]
    returned = alone and number == 12 and pc == RETURN_ADDRESS
    assert processor.words(STATE + 8 * Word.PC, 1) == [pc if returned else pc + 4]
    noted = Note.RETURNED if returned else Note.EXCEPTION | number << NUMBER_SHIFT
    assert processor.note == (Note.ALONE | noted if alone else 0)


@pytest.mark.parametrize("alone", [False, True])
def test_a_breakpoint_is_told_at_once_or_noted_for_later(processor, alone):
    processor.answer = lambda _function, _arguments: 1
    processor.may_not_ask(alone)
    processor.write_words(WORDS, FUNCTIONS, CLOCK, STATE)
    assert processor.call("invalid_alone", SITES, ENGINE, WORDS, 0, 0) & 0xFF == 1
    assert processor.calls == [(128 if alone else 0, ENGINE)]
    assert processor.note == (Note.ALONE | Note.BREAKPOINT if alone else 0)


def on_host(monkeypatch, machine, system):
    monkeypatch.setattr("sys.platform", system)
    if system == "win32":
        monkeypatch.delattr("os.uname")
        monkeypatch.setattr("platform.machine", lambda: machine)
    else:
        monkeypatch.setattr("os.uname", lambda: SimpleNamespace(machine=machine))


@pytest.mark.parametrize(
    ("machine", "system", "expected"),
    [("aarch64", "linux", True), ("arm64", "darwin", False), ("riscv64", "linux", False), ("AMD64", "win32", False)],
)
def test_native_probes_are_for_the_hosts_that_they_were_written_for(monkeypatch, machine, system, expected):
    on_host(monkeypatch, machine, system)
    assert native.available() is expected


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_host_executes_the_code_that_is_kept_for_it(monkeypatch, probe):
    on_host(monkeypatch, "aarch64", "linux")
    monkeypatch.setitem(sys.modules, "keystone", None)  # there is none
    address, kept = native.load.__wrapped__(probe), ASSEMBLED["aarch64"][probe.name]
    assert ctypes.string_at(address, len(kept)) == kept
