"""Invariants of page tables, checked at each write, and who wrote each entry."""

from collections.abc import Callable

import pytest

from emu.address import PhysAddr, PhysPageNum, VirtAddr
from emu.errors import ConfigError
from emu.events import FrameAllocated, FrameFreed, PteWritten
from emu.isa.privilege import Privilege
from emu.machine import Machine
from emu.observe.pagetables.invariants import Broken, FreedFrames, Invariants, StillMapped, named
from tests.guests import THREE_TABLES

PAGED = (
    THREE_TABLES
    + """
    la s2, page
    srli s2, s2, 2
    srli t1, s0, 12
    li t0, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
"""
)
LINEAR = """
    la s3, middle
    li t1, 0x80000 << 10 | 0xcf         # a linear map at 0x200000, by two megabytes, and then by pages
    sd t1, 8(s3)
    la s4, linear
    srli t1, s4, 2
    ori t1, t1, 1
    sd t1, 16(s3)
    srli t1, s2, 10
    li t2, 0x80200
    sub t1, t1, t2
    slli t1, t1, 3
    add t1, t1, s4
    ori t2, s2, 0xc7
    sd t2, (t1)
"""
TABLES = """
    li a7, 8
    ecall
    .bss
    .balign 4096
root: .zero 4096
middle: .zero 4096
last: .zero 4096
linear: .zero 4096
page: .zero 4096
"""


@pytest.mark.parametrize(
    ("invariant", "body", "whys"),
    [
        ("no-writable-code", "ori t1, s2, 0xcf\nwrong: sd t1, 8(s1)", ["it is writable and executable"]),
        ("no-writable-code", "ori t1, s2, 0xcb\nwrong: sd t1, 8(s1)\n ori t1, s2, 0xc7\n sd t1, 16(s1)", []),
        (
            "no-user-in-kernel",
            "li t1, 0x10d7\n la t2, root + 0x800\n sd t1, -8(t2)\nwrong: sd t1, 0(t2)",
            ["user page in the upper"],
        ),
        ("mapped-once", "ori t1, s2, 0xc7\n sd t1, 8(s1)\nwrong: sd t1, 24(s1)", ["is mapped at 0x1000 and 0x3000"]),
        ("mapped-once", f"{LINEAR}\n ori t1, s2, 0xd7\nwrong: sd t1, 8(s1)", []),
        ("mapped-once", f"{LINEAR}\n ori t1, s2, 0xd7\n sd t1, 8(s1)\nwrong: sd t1, 24(s1)", ["at 0x1000 and 0x3000"]),
        ("mapped-once", "ori t1, s2, 0xc7\n sd t1, 8(s1)\n sd zero, 8(s1)\nwrong: sd t1, 24(s1)", []),
    ],
)
def test_a_write_that_breaks_an_invariant_is_told_with_its_place(
    boot: Callable[..., Machine], invariant: str, body: str, whys: list[str]
) -> None:
    machine = boot(PAGED + body + TABLES)
    told: list[Broken] = []
    found = Invariants(machine, named(invariant), told.append)
    machine.run()
    assert found.broken == told
    entered = [broken for broken in told if broken.write.old == broken.write.new]  # the gigabyte that the guest runs in
    assert [int(broken.write.first) for broken in entered] == [0x8000_0000] * (invariant == "no-writable-code")
    told = told[len(entered) :]
    assert len(told) == len(whys)
    for broken, why in zip(told, whys, strict=True):
        assert why in broken.why
        assert broken.write.pc == machine.address_of("wrong")


def test_an_invariant_of_ones_own_is_one_line(boot: Callable[..., Machine]) -> None:
    machine = boot(PAGED + "ori t1, s2, 0xc7\nwrong: sd t1, 0(s1)\n sd t1, 8(s1)" + TABLES)
    found = Invariants(
        machine, {"no page at 0": lambda write, _space: "null" if write.new and not write.first else None}
    )
    machine.run()
    assert [(broken.invariant, broken.write.pc) for broken in found.broken] == [
        ("no page at 0", machine.address_of("wrong"))
    ]


def test_mapping_a_freed_frame_is_told_until_it_is_allocated_again(boot: Callable[..., Machine]) -> None:
    machine = boot(PAGED + "ori t1, s2, 0xc7\n sd t1, 8(s1)\nagain: sd zero, 8(s1)\n sd t1, 8(s1)" + TABLES)
    for kind in (FrameAllocated, FrameFreed):
        machine.events.add_source(kind, lambda: lambda: None)
    frames = FreedFrames(machine)
    found = Invariants(machine, {"freed": frames})
    ppn = PhysPageNum(machine.address_of("page") >> 12)
    fields = {"instret": 0, "pc": VirtAddr(0), "privilege": Privilege.S, "ppn": ppn}
    machine.events.emit(FrameFreed(**fields))
    machine.run(until="again")
    assert [broken.why for broken in found.broken] == [f"its frame {ppn!r} was freed"]
    machine.events.emit(FrameAllocated(**fields))
    machine.run()
    assert len(found.broken) == 1


TO_USER = """
    la t1, handler
    csrw stvec, t1
    ori t1, s2, 0xd7
    sd t1, 8(s1)
    la t1, user
    srli t1, t1, 2
    ori t1, t1, 0x5b
    sd t1, 16(s1)
freed: {}
    sfence.vma
    li t1, 0x2000
    csrw sepc, t1
    li t1, 0x100
    csrc sstatus, t1
    sret
    .balign 4096
user: ecall
    .balign 4
handler:
"""


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
@pytest.mark.parametrize(("clears", "found"), [("nop", 1), ("sd zero, 8(s1)", 0), ("sd s2, 8(s1)", 0)])
def test_a_frame_that_user_code_can_reach_behind_its_free_is_told(
    boot: Callable[..., Machine], clears: str, found: int, fidelity: str
) -> None:
    machine = boot(PAGED + TO_USER.format(clears) + TABLES, fidelity=fidelity)
    for kind in (FrameAllocated, FrameFreed):
        machine.events.add_source(kind, lambda: lambda: None)
    told: list[StillMapped] = []
    frames = FreedFrames(machine, told.append)
    page = machine.address_of("page")
    machine.run(until="freed")  # the entry is cleared behind the free, as many kernels do
    fields = {"instret": machine.instret, "pc": VirtAddr(machine.address_of("freed")), "privilege": Privilege.S}
    machine.events.emit(FrameFreed(**fields, ppn=PhysPageNum(page >> 12)))
    machine.run()
    assert told == frames.still_mapped
    assert [(one.first, int(one.freed.ppn), one.pte_address) for one in told] == (
        [(0x1000, page >> 12, machine.address_of("last") + 8)] * found
    )


def test_the_linear_map_has_freed_frames(boot: Callable[..., Machine]) -> None:
    machine = boot(PAGED + TABLES)
    for kind in (FrameAllocated, FrameFreed):
        machine.events.add_source(kind, lambda: lambda: None)
    frames, ppn = FreedFrames(machine), PhysPageNum(0x80300)
    machine.events.emit(FrameFreed(instret=0, pc=VirtAddr(0), privilege=Privilege.S, ppn=ppn))
    fields = {"instret": 0, "pc": VirtAddr(0), "privilege": Privilege.S, "pte_address": PhysAddr(0), "old": 0}

    def why(first: int, flags: int) -> str | None:
        new = int(ppn) << 10 | flags
        write = PteWritten(**fields, new=new, level=0, first=VirtAddr(first), by_walk=False)
        return frames(write, machine.address_space)

    assert why(0x8030_0000, 0xC7) is None
    assert why(0x8030_0000, 0xD7) == why(0x4000_0000, 0xC7) == f"its frame {ppn!r} was freed"


def test_an_unknown_invariant_is_an_error_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no invariant 'no-wx'.*there are no-writable-code"):
        named("no-wx")
