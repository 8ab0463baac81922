"""`ekernel heap` and the monitor's `info heap`: who holds memory, drawn."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from emu.cli.shared.allocations import AllocationRequest, Allocations, drawing
from emu.machine import Machine
from emu.terminal.monitor import Monitor
from tests.cli.terminal import Terminal

Ekernel = Callable[..., subprocess.CompletedProcess[str]]
Program = Callable[[str], Path]

TWO_LISTS = """
    la sp, stack_top
    call kalloc
    call kalloc
    la t0, kept
    sd a0, (t0)
    .globl moment
moment:
    li a0, 0
    li a7, 8
    ecall

    .type kalloc, @function
    .globl kalloc
kalloc:
    la t0, kmem
    ld a0, 24(t0)
    ld t1, (a0)
    sd t1, 24(t0)
    ret
    .size kalloc, . - kalloc
    .type kfree, @function
    .globl kfree
kfree:
    ret
    .size kfree, . - kfree
    .data
    .balign 8
    .globl kmem
kmem: .zero 24
    .dword page1
kept: .dword 0
    .balign 4096
page1: .dword page2
    .zero 4088
page2: .dword page3
    .zero 4088
page3: .dword {last}
    .zero 4088
    .bss
    .balign 16
    .zero 256
stack_top:
"""


def test_the_frames_of_an_xv6_like_kernel_are_drawn_with_its_free_list(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("heap", program(TWO_LISTS.format(last="0")))
    assert result.returncode == 0, result.stderr
    assert "as described: xv6's kalloc.c" in result.stdout
    assert "frames: 2 of 4,096 bytes held" in result.stdout
    assert re.search(r"free list 0: 0x[0-9a-f]+000 \(4 KiB\)$", result.stdout, re.MULTILINE)
    assert "leaks: 2 frames and 0 blocks held\n   unreachable, nothing points to them: 1 frame and 0 blocks\n" in (
        result.stdout
    )


def test_what_a_kernel_that_crashes_holds_is_drawn_behind_the_cause(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("heap", program(TWO_LISTS.format(last="0").replace("moment:", "moment: sd zero, (zero)")))
    assert result.returncode == 1
    assert re.match(r"ekernel: store access fault at moment(\+\w+)? \(guest\.s:\d+\): `sd zero, ", result.stderr)
    assert result.stdout.startswith("-- stopped by an error: ")
    assert "frames: 2 of 4,096 bytes held" in result.stdout


def test_growth_between_two_moments_is_told_with_who_made_it(ekernel: Ekernel, program: Program) -> None:
    later = "    .globl half\nhalf: call kalloc\n    la t0, kept"  # another call of kalloc returns to half
    source = TWO_LISTS.format(last="0").replace("    la t0, kept", later)
    result = ekernel("heap", "--since", "half", "--at", "moment", program(source))
    assert re.search(r"most at instruction \d+: 3, 12 KiB$", result.stdout, re.MULTILINE)
    grown = re.search(r"^   more than at instruction (\d+):\n +(.*)\n", result.stdout, re.MULTILINE)
    assert grown, result.stdout
    assert re.fullmatch(r"1 since half(\+\w+)? \(guest\.s:\d+\).*: 4 KiB", grown[2])
    assert "leaks: 1 frame and 0 blocks held\n" in result.stdout


def test_a_list_that_runs_in_a_circle_is_told(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("heap", "--at", "moment", program(TWO_LISTS.format(last="page3")))
    assert "-- moment is reached: " in result.stdout
    broken = re.search(r"broken at (0x[0-9a-f]+): it points back to (0x[0-9a-f]+): the list runs", result.stdout)
    assert broken
    assert broken[1] == broken[2]


CIRCLE = """
    la sp, stack_top
    call take
    mv s0, a0
    call take
    mv s1, a0
    mv a0, s0
    call give
    mv a0, s1
    call give
    {again}
    .globl moment
moment:
    li a7, 8
    ecall
    .globl take
take:
    la t0, list
    ld a0, (t0)
    ld t1, (a0)
    sd t1, (t0)
    ret
    .globl give
give:
    la t0, list
    ld t1, (t0)
    sd t1, (a0)
    sd a0, (t0)
    ret
    .data
    .balign 8
    .globl list
list: .dword one
    .balign 64
one: .dword two
    .zero 56
two: .dword three
    .zero 56
three: .dword 0
    .zero 56
    .bss
    .zero 256
stack_top:
"""
CIRCLE_DESCRIBED = """
about = "a list of 64 bytes each"
[[blocks]]
function = "take"
does = "allocate"
size = "64"
[[blocks]]
function = "give"
does = "free"
[[free]]
symbol = "list"
first = "[&list]"
next = "[a0]"
size = "64"
"""


def test_a_list_that_a_double_free_has_closed_is_no_join(ekernel: Ekernel, program: Program, tmp_path: Path) -> None:
    (tmp_path / "list.toml").write_text(CIRCLE_DESCRIBED)
    sound = ekernel("heap", program(CIRCLE.format(again="nop")), "--allocator", "list.toml").stdout
    assert re.search(r"^   0 splits, 0 joins$", sound, re.MULTILINE)
    assert "broken" not in sound
    result = ekernel("heap", program(CIRCLE.format(again="mv a0, s1\n call give")), "--allocator", "list.toml")
    told = re.search(
        r"^   0 splits, 0 joins\n   at instruction \d+ free list 0 was broken at (0x[0-9a-f]+): it points back to \1: "
        r"the list runs in a circle;$",
        result.stdout, re.MULTILINE,
    )  # fmt: skip
    assert told, result.stdout
    assert f"free list 0: {told[1]} (64 bytes)\n" in result.stdout
    wrong = r"^wrong calls: 1\n   freed twice: .* at \S+ \(guest\.s:\d+\); first at \S+ \(guest\.s:\d+\)$"
    assert re.search(wrong, result.stdout, re.MULTILINE)
    assert "wrong calls" not in sound


def test_the_teaching_kernels_buddy_heap_is_drawn_by_orders(ekernel: Ekernel) -> None:
    result = ekernel("heap", "--profile", "step-by-step")
    rows = [line for line in result.stdout.splitlines() if line.lstrip().startswith("order")]
    assert [row.split()[1] for row in rows] == sorted((row.split()[1] for row in rows), key=int, reverse=True)
    assert any("#" in row for row in rows)
    assert any("." in row for row in rows)
    assert "heap: 8 blocks held, 472 bytes\n" in result.stdout
    assert re.search(r"^   [\d,]+ splits, [\d,]+ joins$", result.stdout, re.MULTILINE)
    assert re.search(
        r"^   heap_alloc +8 calls, instructions: median \d+, most \d+, all [\d,]+$", result.stdout, re.MULTILINE
    )
    last = re.findall(r"^ +[\d,]+: +([\d,]+) bytes +([\d,]+ KiB) +(\d+) % +(\d+) %$", result.stdout, re.MULTILINE)[-1]
    assert (last[1], last[3]) == ("512 KiB", "2"), "8 bytes of 480"


def test_a_kernel_without_a_known_allocator_is_told_what_to_name(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("heap", program("li a7, 8\n ecall"))
    assert result.returncode == 125
    assert "name its own with --frame-functions, --heap-functions or --allocator" in result.stderr


def test_the_monitor_draws_the_heap_at_the_keyboard_and_marks_tell_what_grew(program: Program) -> None:
    shows = "li t0, 0x10000000\n li t1, '{}'\n sb t1, (t0)\n"
    wait = "1: lbu t2, 5(t0)\n andi t2, t2, 1\n beqz t2, 1b\n lbu t2, (t0)\n"
    later = f"{shows.format('<')}{wait} call kalloc\n {shows.format('>')}1: j 1b\n"
    source = TWO_LISTS.format(last="page4\n .zero 4088\npage4: .dword 0").replace("    li a0, 0\n", later)
    terminal = Terminal("run", "--since", "mark", program(source))
    terminal.expect("<")
    terminal.type("\x01c")
    terminal.expect("(ekernel) ")
    terminal.type("info heap\n")
    terminal.expect("frames: 2 of 4,096 bytes held")
    terminal.type("mark\n")
    terminal.expect("marked: ")
    terminal.type("c\n")
    terminal.type("x")
    terminal.expect(">")
    terminal.type("\x01c")
    terminal.expect("(ekernel) ")
    terminal.type("info heap\n")
    terminal.expect("frames: 3 of 4,096 bytes held")
    terminal.type("q\n")
    assert terminal.status() == 0
    assert re.search(r"3 still held .*\s+1 of them since instruction [\d,]+\s+1 held since moment\+", terminal.seen)


def test_the_monitor_draws_the_heap_and_marks_a_moment(program: Program) -> None:
    machine = Machine()
    machine.load(program(TWO_LISTS.format(last="0")))
    allocations = Allocations(machine, AllocationRequest(since="mark"), summed_up=True)
    monitor = Monitor(machine, heap=lambda: drawing(machine, allocations), mark=allocations.mark)
    assert next(iter(monitor.answer("info heap"))).startswith("frames: 0 of")
    machine.run(until="kalloc")
    machine.run(until="kalloc")
    assert list(monitor.answer("mark")) == [f"marked: {machine.instret:,} instructions"]
    machine.run()
    assert allocations.since is not None
    assert allocations.ledger is not None
    assert len(list(allocations.ledger.frames.since(allocations.since))) == 1
    assert next(iter(monitor.answer("info heap"))) == "frames: 2 of 4,096 bytes held"
