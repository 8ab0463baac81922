"""Memory that was never written: named where it decides something, left alone where it is only copied."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from emu.observe.allocations.catalogue import Catalogue
from emu.observe.allocations.description import Allocator, Does, Function
from emu.observe.allocations.signatures import heap_allocator
from emu.observe.allocations.values import Value
from emu.observe.sanitizer.address import AddressSanitizer
from emu.observe.sanitizer.bugs import Bug, MemoryBug, Use
from emu.observe.sanitizer.uninit.sanitizer import UninitSanitizer
from emu.report.sanitizer import BugReport, bug_numbers
from kernel.build import BuiltKernel

HERE = Path(__file__).parent

SOURCE = (HERE / "unwritten.c").read_text()
NAMES = re.findall(r"^void ((?:bug|twin)_\w+)\(", SOURCE, re.MULTILINE)
_USE = re.compile(r"// (?:HERE|IN (\w+)) (\w+) (\d+) (\d+)( stored)?$", re.MULTILINE)


_A0 = Value.parse("a0")
BLOCKS = Allocator("blocks", "", blocks=(
    Function("blk_alloc", Does.ALLOCATE, at=(_A0,), size=_A0),
    Function("blk_free", Does.FREE, at=(_A0,)),
    Function("blk_resize", Does.RESIZE, at=(_A0,), size=Value.parse("a1"), old=_A0),
), trusted=True)  # fmt: skip


class Guest:
    """A C kernel with xv6's habits, and the functions of unwritten.c."""

    def __init__(self, elf: Path, source: str, fidelity: str, probes: str | None) -> None:
        self.source = source
        self.machine = machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20, probes=probes))
        machine.load(elf)
        sanitizer = AddressSanitizer(machine, Catalogue(machine.symbols).fitting(), (BLOCKS,))
        self.uninit = UninitSanitizer(machine, sanitizer)
        self.found: list[MemoryBug] = []
        machine.on(MemoryBug, self.found.append)
        machine.run()
        machine.hart.x["sp"] = machine.address_of("boot_stack_top")
        self.snapshot = machine.snapshot()

    def run(self, function: str, *arguments: int) -> list[MemoryBug]:
        self.machine.restore(self.snapshot)
        self.uninit.tell_again()
        self.found.clear()
        self.machine.call(function, *arguments)
        return list(self.found)


@pytest.fixture(scope="module")
def built(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    compiler, folder = oracle("riscv64-unknown-elf-gcc"), tmp_path_factory.mktemp("unwritten")
    script = folder / "kernel.ld"
    script.write_text(
        "ENTRY(_start) SECTIONS { . = 0x80200000; .text : { *(.text.entry) *(.text*) }"
        " .data : { *(.rodata* .srodata* .data* .sdata*) } .bss : { *(.bss* .sbss* COMMON) }"
        " . = ALIGN(4096); end = .; }"
    )
    source = (HERE / "kernel.c").read_text() + "\n" + SOURCE
    (folder / "unwritten.c").write_text(source)
    flags = [
        "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-O1", "-g", "-fno-inline", "-ffreestanding", "-nostdlib",
        "-fno-ipa-sra", "-fno-optimize-sibling-calls", "-Wl,--no-warn-rwx-segments", "-T", str(script),
    ]  # fmt: skip
    subprocess.run([compiler, *flags, "-o", str(folder / "unwritten.elf"), str(folder / "unwritten.c")], check=True)
    return folder / "unwritten.elf", source


@pytest.fixture(
    scope="module",
    params=[
        ("fast", None),
        ("exact", None),
        pytest.param(("fast", "python"), marks=pytest.mark.slow),
    ],
    ids=str,
)
def guest(request: pytest.FixtureRequest, built: tuple[Path, str]) -> Guest:
    return Guest(*built, *request.param)


def body(name: str) -> str:
    return SOURCE[SOURCE.index(f"void {name}(") :].partition("\n}\n")[0]


@pytest.mark.parametrize("name", NAMES)
def test_what_decides_something_is_named_with_its_line_and_what_does_not_is_left_alone(guest: Guest, name: str) -> None:
    found = guest.run(name)
    if name.startswith("twin"):
        assert found == []
        return
    assert [each.bug for each in found] == [Bug.UNINIT]
    bug, machine = found[0], guest.machine
    match = _USE.search(body(name))
    assert match is not None
    where, use, at, size, stored = match.groups()
    assert bug.use is not None
    assert use in bug.use.value
    symbol, line = machine.symbols.at(bug.pc), machine.lines.at(bug.pc)
    assert symbol is not None
    assert line is not None
    assert symbol[0].name == (where or name)
    assert "HERE" in guest.source.splitlines()[line.line - 1]
    assert bug.region is not None
    assert bug.unwritten is not None
    assert (int(bug.address) + bug.unwritten[0] - int(bug.region.start), bug.size) == (int(at), int(size))
    assert bool(bug.stored) is bool(stored)
    assert bug.region.allocated is not None


def test_the_way_there_changes_nothing(built: tuple[Path, str]) -> None:
    ends = []
    for watched in True, False:
        machine = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20))
        machine.load(built[0])
        if watched:
            blocks = (heap_allocator("blk_alloc(size=a0),blk_free"),)
            UninitSanitizer(machine, AddressSanitizer(machine, Catalogue(machine.symbols).fitting(), blocks))
        machine.run()
        machine.hart.x["sp"] = machine.address_of("boot_stack_top")
        for name in NAMES:
            machine.call(name)
        ram = machine.memory.ram
        ends.append((machine.instret, bytes(machine.memory.view(ram.base, ram.size)), list(machine.hart.x)))
    assert ends[0] == ends[1]


def test_random_work_of_a_correct_kernel_is_left_alone(guest: Guest) -> None:
    for seed in range(5):
        assert guest.run("works", seed, 40) == []


def test_the_report_has_the_order_and_the_words_of_kmsan(guest: Guest) -> None:
    [bug] = guest.run("bug_copied")
    text = BugReport(guest.machine).text(bug)
    parts = [
        r"=+", r"BUG: ekernel: uninit-value in bug_copied\+0x[0-9a-f]+/0x[0-9a-f]+ \(unwritten.c:\d+\)",
        r"Value 0x[0-9a-f]+ decides a branch, by hart 0 in S mode, instret [\d,]+", "", "Call trace:",
        r" bug_copied\+.*", r" the host", r" _start\+.*", "", "Uninit was stored to memory at:", r" bug_copied\+.*",
        r" the host", r" _start\+.*", "", "Uninit was created at:", r" bug_copied\+.*", r" the host", "",
        r"Bytes 0-7 of 8 are uninitialized", r"Memory access of size 8 starts at [0-9a-f]{16}", r"=+",
    ]  # fmt: skip
    assert re.fullmatch("\n".join(parts), text), text


def test_a_snapshot_in_the_middle_of_a_value_goes_on_where_it_was(guest: Guest) -> None:
    machine, uninit = guest.machine, guest.uninit
    [expected] = guest.run("bug_sum")
    machine.restore(guest.snapshot)
    uninit.tell_again()
    guest.found.clear()
    machine.hart.x["ra"] = machine.address_of("done")
    machine.hart.pc = machine.address_of("bug_sum")
    while not uninit.following.registers:
        machine.run(max_instructions=1)
    middle = machine.snapshot()
    for _ in range(2):
        machine.run(max_instructions=20)
        assert [bug.pc for bug in guest.found] == [expected.pc]
        machine.restore(middle)
        uninit.tell_again()
        guest.found.clear()


def test_a_register_that_the_host_writes_in_the_middle_is_followed_no_more(guest: Guest) -> None:
    machine, following = guest.machine, guest.uninit.following
    assert len(guest.run("bug_sum")) == 1
    machine.restore(guest.snapshot)
    guest.uninit.tell_again()
    guest.found.clear()
    machine.hart.x["ra"] = machine.address_of("done")
    machine.hart.pc = machine.address_of("bug_sum")
    while not following.registers:
        machine.run(max_instructions=1)
    for register in following.registers:
        machine.hart.x[register] = 3
    machine.run(max_instructions=20)
    assert guest.found == []
    assert not following.registers


@pytest.mark.parametrize(
    "profile", ["step-by-step", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rcore-v3", "full"))]
)
def test_this_kernels_own_work_is_left_alone(profile: str, kernel_of: Callable[..., BuiltKernel]) -> None:
    machine, found = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20)), list[MemoryBug]()
    machine.load(kernel_of(profile).elf)
    UninitSanitizer(machine, AddressSanitizer(machine))
    machine.on(MemoryBug, found.append)
    machine.run()
    assert found == []


# A heap that hands out 64 bytes at a time, from the front, and what is done with them.
ASSEMBLY = """
    li a7, 8
    ecall
take:
    la t0, next
    ld a0, (t0)
    addi t1, a0, 64
    sd t1, (t0)
    ret
.size take, . - take
give:
    ret
.size give, . - give
copy:   # 8 bytes from a new block to a1, written before if a2
    mv s1, ra
    call take
    beqz a2, 1f
    sd a2, 16(a0)
1:  ld t0, 16(a0)
    sd t0, (a1)
    mv ra, s1
    ret
.size copy, . - copy
look:   # at 8 bytes of a block in a1
    ld t0, 24(a1)
    beqz t0, 1f
    nop
1:  ret
.size look, . - look
trapped:    # an exception in the middle, whose handler saves and restores what it uses
    mv s1, ra
    la t0, handler
    csrw stvec, t0
    call take
    lw t3, 8(a0)
    ebreak
    addi t3, t3, 1
    bltz t3, 1f
1:  mv ra, s1
    ret
.size trapped, . - trapped
    .balign 4
handler:
    csrrw t6, sscratch, t6
    la t6, saved
    sd t3, (t6)
    li t3, 0
    csrr t3, sepc
    addi t3, t3, 2
    csrw sepc, t3
    ld t3, (t6)
    csrrw t6, sscratch, t6
    sret
.type take, @function
.type give, @function
.type copy, @function
.type look, @function
.type trapped, @function
    .data
    .balign 8
saved: .zero 8
next: .dword arena
    .balign 4096
arena: .fill 8192, 1, 0xA5
"""


@pytest.fixture
def assembly(boot: Callable[..., Machine]) -> tuple[Machine, list[MemoryBug]]:
    machine, found = boot(ASSEMBLY), list[MemoryBug]()
    machine.hart.x["sp"] = 0x8090_0000
    UninitSanitizer(machine, AddressSanitizer(machine, (), (heap_allocator("take(size=a3),give"),)))
    machine.on(MemoryBug, found.append)
    return machine, found


def test_what_a_trap_saves_and_restores_is_followed(assembly: tuple[Machine, list[MemoryBug]]) -> None:
    machine, found = assembly
    machine.call("trapped", 0, 0, 0, 64)
    assert [(bug.use, machine.symbols.at(bug.pc)[0].name) for bug in found] == [(Use.BRANCH, "trapped")]


def test_a_store_to_a_page_of_a_process_is_a_leak_and_one_to_the_kernels_own_is_none(
    assembly: tuple[Machine, list[MemoryBug]],
) -> None:
    machine, found = assembly
    root, users = 0x8095_0000, 0x8096_0000
    gigapage, leaf, table = 0x8000_0000 >> 12 << 10 | 0xCF, users >> 12 << 10 | 0xD7, 0x8095_1000
    machine.memory.write_int(root + 8 * 2, 8, gigapage)
    machine.memory.write_int(root, 8, table >> 12 << 10 | 1)
    machine.memory.write_int(table, 8, 0x8095_2000 >> 12 << 10 | 1)
    machine.memory.write_int(0x8095_2000 + 8 * 16, 8, leaf)
    machine.hart.csr["satp"] = 8 << 60 | root >> 12
    machine.hart.csr["sstatus"] = machine.hart.csr["sstatus"] | 1 << 18
    machine.call("copy", 0, 0x1_0000, 9, 64)
    machine.call("copy", 0, 0x8090_8000, 0, 64)
    assert found == []
    machine.call("copy", 0, 0x1_0000, 0, 64)
    [bug] = found
    assert (bug.bug, bug.use, bug.value) == (Bug.LEAK, Use.USER, 0xA5A5_A5A5_A5A5_A5A5)
    assert "kernel-infoleak in copy" in BugReport(machine).text(bug)


@pytest.mark.parametrize("writes", ["write", "transfer"])
def test_what_the_host_or_a_device_has_written_is_written(
    assembly: tuple[Machine, list[MemoryBug]], writes: str
) -> None:
    machine, found = assembly
    block = machine.call("take", 0, 0, 0, 64)
    for place, length in (block + 24, 7), (block + 32, 8):
        getattr(machine.memory, writes)(place, bytes(length))
    machine.call("look", 0, block)
    assert [(bug.unwritten, bug.region is not None and int(bug.region.start)) for bug in found] == [((7, 7), block)]
    found.clear()
    machine.call("look", 0, block + 8)
    assert found == []


def test_a_value_that_is_followed_too_long_is_given_up_and_counted(guest: Guest) -> None:
    following = guest.uninit.following
    most, following.most = following.most, 3
    try:
        before = following.given_up
        assert guest.run("bug_sum") == []
        assert following.given_up == before + 1
    finally:
        following.most = most
    assert len(guest.run("bug_sum")) == 1


def test_programs_are_told_what_a_value_does_and_which_bytes_it_has(guest: Guest) -> None:
    [numbers] = bug_numbers(guest.machine, guest.run("bug_sum"))
    assert (numbers["bug"], numbers["use"], numbers["unwritten"]) == ("uninit-value", "decides a branch", (0, 7))


def test_a_sanitizer_that_is_closed_tells_nothing_and_changes_nothing(built: tuple[Path, str]) -> None:
    machine, found = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20)), list[MemoryBug]()
    machine.load(built[0])
    blocks = (heap_allocator("blk_alloc(size=a0),blk_free"),)
    with (
        AddressSanitizer(machine, Catalogue(machine.symbols).fitting(), blocks) as sanitizer,
        UninitSanitizer(machine, sanitizer) as uninit,
    ):
        machine.on(MemoryBug, found.append)
        machine.run()
        machine.hart.x["sp"] = machine.address_of("boot_stack_top")
        machine.call("bug_sum")
        assert len(found) == uninit.loads == 1
    machine.call("bug_branch")
    assert len(found) == 1
    assert machine.memory.changed == ()
    assert not machine.core.engine.has_features
