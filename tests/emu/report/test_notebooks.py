"""What a notebook shows of a machine's objects: the same facts, and no markup that a guest's file has smuggled in."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import ekernel
from ekernel import Machine, MachineConfig
from emu.shown import Shown

NAME = "take_a_frame_of_memory_for_me"
HOSTILE = "<script>alert(1)</script>\x01&'\""
"""As long as NAME: both stand in the same place of the ELF's table of strings."""
GUEST = f"""
    .globl _start, {NAME}
_start:
    la sp, stack
    la t0, root
    la t1, root + 16
    li t2, 0x200000cf
    sd t2, 0(t1)                 # VPN[2] = 2: a gigabyte from 0x80000000
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    call {NAME}
    li a0, 48
    call malloc
    la t0, handler
    csrw stvec, t0
    li t0, 0x1000
    ld t1, 0(t0)
    .balign 4
handler:
    li a7, 8
    ecall
{NAME}:
    addi sp, sp, -16
    sd ra, 8(sp)
    call frame_alloc
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
frame_alloc:
    li a0, 0x80400
    ret
malloc:
    li a0, 0x80500000
    ret
frame_dealloc:
    ret
free:
    ret
    .bss
    .balign 4096
root: .zero 4096
    .zero 256
stack:
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine at its page fault, in an image with a hostile name."""
    assert len(NAME) == len(HOSTILE)
    objects = [ekernel.assemble(GUEST, name="guest.S")]
    elf = ekernel.link(objects, script="SECTIONS { . = 0x80200000; .text : { *(.text) } .bss : { *(.bss) } }").elf
    path = tmp_path / "guest.elf"
    path.write_bytes(elf.replace(NAME.encode() + b"\0", HOSTILE.encode() + b"\0"))
    with Machine(MachineConfig(ram_size=16 << 20)) as made:
        made.load(path)
        yield made


class Tags(HTMLParser):
    """The tags and the texts of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(value: Shown) -> str:
    """The text of what a notebook shows; its markup is that of tables and pictures only."""
    html = value._repr_html_()
    assert html is not None
    page = Tags(html)
    assert page.tags <= {"div", "b", "br", "span", "table", "tr", "th", "td", "svg", "rect", "line", "text", "title"}
    picture = value._repr_svg_()
    if picture is not None:
        assert ET.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314  # our own
    return page.text


def test_each_kind_of_object_shows_what_it_knows_and_a_hostile_name_stays_a_name(
    machine: Machine, tmp_path: Path
) -> None:
    ekernel.FrameObserver(machine, [ekernel.frame_allocator("frame_alloc,frame_dealloc")])
    ekernel.HeapObserver(machine, [ekernel.heap_allocator("malloc,free")])
    ekernel.PageFaultObserver(machine)
    ledger, faults = ekernel.AllocationLedger(machine), list[ekernel.PageFault]()
    last = ekernel.LastInstructions.of(machine)
    machine.on(ekernel.PageFault, faults.append)
    assert "paging is off" in seen(machine.address_space())
    with ekernel.Recorder(machine, tmp_path / "run"):
        machine.run()
    visible = HOSTILE.replace("\x01", "\ufffd")
    assert f"{visible}+0x8" in seen(ledger)
    assert "48 bytes" in seen(ledger)
    assert "0x40000000" not in seen(machine.address_space())
    assert "0x80000000 .. 0xbfffffff" in seen(machine.address_space())
    assert "ram, 16 MiB" in seen(machine.memory)
    assert "VPN[2]2" in seen(machine.walk(0x80000123)).replace(" ", "")
    assert "0x80000123 is 0x80000123" in seen(machine.walk(0x80000123))
    assert "is invalid (V = 0)" in seen(faults[0])
    assert "load of 0x1000" in seen(faults[0])
    assert "ecall" in seen(last)
    with ekernel.Recording(tmp_path / "run") as recording:
        text = seen(recording)
        assert "csrw satp, t0" in text
        assert visible in text


def test_what_has_no_picture_is_shown_as_text(machine: Machine) -> None:
    events = list[ekernel.Event]()
    machine.on(ekernel.AddressSpaceSwitched, events.append)
    machine.run()
    assert (events[0]._repr_html_(), events[0]._repr_svg_()) == (None, None)


def test_a_picture_of_very_many_entries_stays_small() -> None:
    from emu.mmu.space import AddressSpace

    full = memoryview(b"".join((0x20090007 + (i << 10)).to_bytes(8, "little") for i in range(0, 1024, 2))).cast("Q")
    pointers = memoryview(b"".join((index << 10 | 1).to_bytes(8, "little") for index in range(32))).cast("Q")
    tables = {0: pointers, 4096: memoryview(pointers.tobytes()).cast("Q")}
    space = AddressSpace(lambda page: tables.get(page, full), 8 << 60)
    html, svg = space._repr_html_(), space._repr_svg_()
    assert html is not None
    assert svg is not None
    assert "more" in html
    assert len(html) < 100_000  # of 16,000 ranges


def test_a_recording_that_ends_early_says_so_in_the_notebook(tmp_path: Path, machine: Machine) -> None:
    path = tmp_path / "run"
    with ekernel.Recorder(machine, path):
        machine.run()
    path.write_bytes(path.read_bytes()[:-400])
    with ekernel.Recording(path) as recording:
        assert "it is not complete: " in seen(recording)


def test_a_recording_is_drawn_as_the_functions_that_it_was_in_by_time(tmp_path: Path) -> None:
    source = ".globl _start\n_start: call early\ncall late\nli a7, 8\necall\n"
    for name in ("early", "late"):
        source += f".type {name}, @function\n{name}: li t0, 5000\n1: addi t0, t0, -1\nbnez t0, 1b\nret\n"
        source += f".size {name}, . - {name}\n"
    path = tmp_path / "guest.elf"
    script = "SECTIONS { . = 0x80200000; .text : { *(.text) } }"
    path.write_bytes(ekernel.link([ekernel.assemble(source, name="guest.S")], script=script).elf)
    with Machine(MachineConfig(ram_size=16 << 20)) as made:
        made.load(path)
        last = ekernel.LastInstructions.of(made)
        with ekernel.Recorder(made, tmp_path / "run"):
            made.run()
        assert "ecall" in (last._repr_svg_() or "")
    with ekernel.Recording(tmp_path / "run") as recording:
        svg = recording._repr_svg_()
    assert svg is not None
    boxes = [
        (box[0].text, float(box.attrib["x"]))
        for box in ET.fromstring(svg)  # noqa: S314  # our own
        if box.tag.endswith("rect")
    ]
    whole = {name: [x for title, x in boxes if title == f"{name}: 100 %"] for name in ("early", "late")}
    assert abs(len(whole["early"]) - len(whole["late"])) < 4
    assert len(whole["early"] + whole["late"]) > 190
    assert max(whole["early"]) < min(whole["late"])


def test_a_recording_that_cannot_be_drawn_says_why(tmp_path: Path, machine: Machine) -> None:
    with ekernel.Recorder(machine, tmp_path / "run"):
        machine.run()
    with ekernel.Recording(tmp_path / "run") as recording:
        recording.lengths.clear()  # as in a file that lacks what its blocks are
        with pytest.raises(ekernel.RecordingError) as raised:
            recording.extent()
        assert str(raised.value) in seen(recording)
        assert str(raised.value) in (recording._repr_svg_() or "")
