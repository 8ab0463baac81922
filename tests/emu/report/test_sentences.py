"""Events as sentences, files and a transcript."""

import io
import json
from collections.abc import Callable

import pytest

from emu.address import PhysAddr, PhysPageNum, VirtAddr
from emu.events import Event, FrameAllocated, HeapFreed, PageFault, PteWritten, TrapTaken
from emu.isa.privilege import Access, Privilege
from emu.machine import Machine
from emu.observe.faults import PageFaultHandled
from emu.report.places import Places
from emu.report.sentences import Sentences
from emu.report.tracefile import TraceFile
from emu.report.transcript import Transcript
from emu.walks import Refusal, Walk, WalkStep

PROGRAM = """
    .type start, @function
start:
    nop
    sd a1, 8(a0)
"""
STORE = VirtAddr(0x80200002)
LEAF = WalkStep(0, PhysAddr(0x80235008), 0x20090043)


@pytest.fixture
def places(build: Callable[..., object]) -> Places:
    machine = Machine()
    machine.load(build(PROGRAM))  # type: ignore[arg-type]
    return Places(machine)


def refused(*steps: WalkStep, refusal: Refusal = Refusal.NOT_WRITABLE) -> Walk:
    return Walk(VirtAddr(0x40001008), Access.STORE, Privilege.S, 8 << 60 | 0x80300, steps, None, refusal)


def fault(walk: Walk) -> PageFault:
    return PageFault(instret=1234, pc=STORE, privilege=Privilege.S, access=walk.access, address=walk.address, walk=walk)


def test_a_page_fault_names_access_instruction_place_pte_and_reason(places: Places) -> None:
    label, sentence = Sentences(places).say(fault(refused(LEAF)))
    assert label == "fault"
    assert sentence == (
        "store to 0x40001008 by `sd a1, 8(a0)` at start+0x2 refused: "
        "the level-0 PTE at 0x80235008 (0x20090043: PPN:0x80240 _A____RV) has no W"
    )


@pytest.mark.parametrize("refusal", Refusal)
def test_every_reason_makes_a_sentence(places: Places, refusal: Refusal) -> None:
    sentence = Sentences(places).say(fault(refused(LEAF, refusal=refusal)))[1]
    assert "refused: the " in sentence
    assert "not canonical" in sentence if refusal is Refusal.NOT_CANONICAL else refusal.value in sentence


@pytest.mark.parametrize(
    ("target", "walk", "expected"),
    [
        (
            STORE,
            Walk(VirtAddr(0x40001008), Access.STORE, Privilege.S, 0, (LEAF,), PhysAddr(0x80240008), None),
            "mapped 0x40001008 by the level-0 PTE at 0x80235008 (0x20090043: PPN:0x80240 _A____RV), retried after 66",
        ),
        (STORE, refused(LEAF), "tried again after 66 instructions, but the level-0 PTE at 0x80235008 "),
        (VirtAddr(0x80200000), refused(LEAF), "went on at start after 66 instructions, 0x40001008 not tried again"),
    ],
)
def test_what_the_handler_did_is_told(places: Places, target: VirtAddr, walk: Walk, expected: str) -> None:
    handled = PageFaultHandled(
        instret=1300, pc=STORE, privilege=Privilege.S, fault=fault(refused(LEAF)), walk=walk, target=target
    )
    assert Sentences(places).say(handled)[1].startswith(expected)


EVENTS: list[tuple[Event, str]] = [
    (
        FrameAllocated(instret=1, pc=VirtAddr(0x80200000), privilege=Privilege.S, ppn=PhysPageNum(0x80FFF)),
        "PPN:0x80fff at start",
    ),
    (
        FrameAllocated(instret=1, pc=VirtAddr(0x80200000), privilege=Privilege.S, ppn=PhysPageNum(0x80FF0), count=8),
        "PPN:0x80ff0 and 7 more at start",
    ),
    (
        HeapFreed(instret=1, pc=VirtAddr(0x10), privilege=Privilege.S, address=VirtAddr(0x80400000), size=24),
        "0x80400000 24 bytes at 0x10",
    ),
    (
        TrapTaken(
            instret=1,
            pc=STORE,
            privilege=Privilege.U,
            cause=8,
            interrupt=False,
            tval=0,
            to_privilege=Privilege.S,
            handler=VirtAddr(0x80200000),
        ),
        "ecall from U mode from U at start+0x2 (tval 0x0), to S at start",
    ),
    (
        PteWritten(
            instret=1, pc=STORE, privilege=Privilege.S, pte_address=PhysAddr(0x80235008), old=0, new=0x20090043,
            level=0, first=VirtAddr(0x3000), by_walk=False,
        ),
        "0x80235008, level 0 for 0x3000..0x3fff: 0 becomes (0x20090043: PPN:0x80240 _A____RV) at start+0x2",
    ),
    (
        PteWritten(
            instret=1, pc=STORE, privilege=Privilege.S, pte_address=PhysAddr(0x80235FF8), old=0x200000C7,
            new=0x20000047, level=2, first=VirtAddr((1 << 64) - (1 << 30)), by_walk=True,
        ),
        (
            "0x80235ff8, level 2 for 0xffffffffc0000000..0xffffffffffffffff: (0x200000c7: PPN:0x80000 DA___WRV) "
            "becomes (0x20000047: PPN:0x80000 _A___WRV) by the page walk, at start+0x2"
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("event", "expected"), EVENTS)
def test_other_events_read_as_sentences(places: Places, event: Event, expected: str) -> None:
    assert Sentences(places).say(event)[1] == expected


def test_no_line_of_a_transcript_mixes_console_and_trace(places: Places) -> None:
    stream = io.BytesIO()
    transcript = Transcript(stream, Sentences(places), colour=False, flush_lines=False)

    def console(data: bytes) -> None:
        transcript.console(data)

    console(b"one, ")
    transcript.event(EVENTS[0][0])
    console(b"two\n")
    transcript.event(EVENTS[0][0])
    console(b"open")
    transcript.end_line()
    traced = "┃           1 frame +  PPN:0x80fff at start"
    assert stream.getvalue().decode().splitlines() == ["one, ", traced, "two", traced, "open"]


def test_a_trace_file_holds_one_object_a_line(places: Places) -> None:
    stream = io.BytesIO()
    trace = TraceFile(stream, places)
    trace.write(fault(refused(LEAF)))
    trace.write(EVENTS[0][0])
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["event"] == "PageFault"
    assert first["at"] == "start+0x2"
    assert first["walk"]["refusal"] == "NOT_WRITABLE"
    assert first["walk"]["steps"] == [{"level": 0, "pte_address": "0x80235008", "pte": 0x20090043}]
    assert second["ppn"] == "0x80fff"
