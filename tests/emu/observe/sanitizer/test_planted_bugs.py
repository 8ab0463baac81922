"""Planted mistakes in kernels of three kinds: each is named with its line, each correct twin is left alone."""

import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from emu.errors import GuestPanic
from emu.firmware.image import Image
from emu.machine import Machine, MachineConfig
from emu.observe.allocations.catalogue import Catalogue
from emu.observe.allocations.signatures import heap_allocator
from emu.observe.sanitizer.address import AddressSanitizer
from emu.observe.sanitizer.bugs import Bug, MemoryBug
from kernel.build import BuiltKernel
from linker import link
from linker.assembler import AssemblerOptions, assemble
from tests.emu.observe.sanitizer.planted import CASES, Case, in_assembly, in_c, in_rust, line_of
from tests.rust import build as rust

HERE = Path(__file__).parent


class Planted:
    """A machine with all mistakes of the table, which are called one after the other."""

    def __init__(self, machine: Machine, sanitizer: AddressSanitizer, source: str) -> None:
        self.machine, self.source, self.sanitizer = machine, source, sanitizer
        self.found: list[MemoryBug] = []
        machine.on(MemoryBug, self.found.append)
        self._snapshot = machine.snapshot()

    def run(self, function: str, *arguments: int) -> list[MemoryBug]:
        self.machine.restore(self._snapshot)
        self.found.clear()
        self.machine.call(function, *arguments)
        return list(self.found)

    def check(self, case: Case, *, may_panic: bool = False) -> None:
        with suppress(*((GuestPanic,) if may_panic else ())):
            self.run(case.name)
        found = self.found
        if case.bug.startswith("+"):
            assert found == []
            return
        assert [each.bug.value for each in found] == [case.bug]
        bug, machine = found[0], self.machine
        # A free in Rust is called by the library's own functions.
        chain = (bug.pc,) if case.width else (bug.pc, *bug.callers)
        named = [(found[0].name, line.line) for at in chain if (found := machine.symbols.at(at)) and (
            line := machine.lines.at(at)
        )]  # fmt: skip
        assert (case.name, line_of(self.source, case)) in named
        assert (bug.size, bug.write) == (case.width, case.write)
        region = bug.region
        assert region is not None
        assert region.size == (case.size or 4096)
        assert int(bug.address) - int(region.start) == case.at
        assert (region.allocated is not None, region.freed is not None) == (True, case.freed)


@pytest.fixture(scope="module")
def in_c_kernel(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Planted:
    compiler, folder = oracle("riscv64-unknown-elf-gcc"), tmp_path_factory.mktemp("planted")
    script = folder / "kernel.ld"
    script.write_text(
        "ENTRY(_start) SECTIONS { . = 0x80200000; .text : { *(.text.entry) *(.text*) }"
        " .data : { *(.rodata* .srodata* .data* .sdata*) } .bss : { *(.bss* .sbss* COMMON) }"
        " . = ALIGN(4096); end = .; }"
    )
    source = (HERE / "kernel.c").read_text() + "\n" + "\n".join(map(in_c, CASES))
    file = folder / "planted.c"
    file.write_text(source)
    flags = [
        "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-O1", "-g", "-fno-inline", "-ffreestanding", "-nostdlib",
        "-fno-ipa-sra", "-fno-optimize-sibling-calls", "-Wl,--no-warn-rwx-segments", "-T", str(script),
    ]  # fmt: skip
    subprocess.run([compiler, *flags, "-o", str(folder / "planted.elf"), str(file)], check=True)
    machine = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20))
    machine.load(folder / "planted.elf")
    blocks = (heap_allocator("blk_alloc(size=a0),blk_free"),)
    stack = range(machine.address_of("boot_stack"), machine.address_of("boot_stack_top"))
    sanitizer = AddressSanitizer(machine, Catalogue(machine.symbols).fitting(), blocks, stacks=(stack,))
    machine.run()
    machine.hart.x["sp"] = machine.address_of("boot_stack_top")
    return Planted(machine, sanitizer, source)


@pytest.fixture(scope="module", params=["exact", "fast"])
def in_this_kernel(
    request: pytest.FixtureRequest, kernel_of: Callable[..., BuiltKernel], tmp_path_factory: pytest.TempPathFactory
) -> Planted:
    built = kernel_of("rcore-v3")
    machine = Machine(MachineConfig(fidelity=request.param, ram_size=16 << 20))
    machine.load(built.elf)
    sanitizer = AddressSanitizer(machine)
    machine.run(until="profile_main")
    machine.call("frame_init", 0x80700, 0x80800)
    heap = machine.address_of("heap_space")
    machine.call("heap_init", heap, 1 << 16)
    source = ".text\n" + "\n".join(map(in_assembly, CASES))
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted.s").write_text(source)
    code = assemble(source, name=str(folder / "planted.s"), options=AssemblerOptions(debug=True))
    known = "".join(
        f"{name} = {machine.address_of(name):#x};"
        for name in ("heap_alloc", "heap_dealloc", "frame_alloc", "frame_dealloc")
    )
    linked = link([code], script=f"{known} SECTIONS {{ . = 0x80600000; .text : {{ *(.text) }} }}")
    (folder / "planted.elf").write_bytes(linked.elf)
    image = Image.open(folder / "planted.elf")
    for segment in image.segments:
        machine.memory.write(segment.physical, segment.data)
    machine.add_symbols(folder / "planted.elf")
    return Planted(machine, sanitizer, source)


_RUST = """
#![no_std]
#![feature(default_alloc_error_handler)]
#![no_main]
extern crate alloc;
use buddy_system_allocator::LockedHeap;
use support::power_off;

#[global_allocator]
static HEAP_ALLOCATOR: LockedHeap<32> = LockedHeap::empty();
static mut HEAP_SPACE: [u8; 0x10000] = [0; 0x10000];
static mut SINK: u64 = 0;

#[no_mangle]
extern "C" fn rust_main() -> ! {
    unsafe { HEAP_ALLOCATOR.lock().init(HEAP_SPACE.as_ptr() as usize, 0x10000) }
    unsafe { core::ptr::read_volatile(&ALL[0]); }
    power_off()
}
"""
_IN_RUST = [case for case in CASES if case.size]


@pytest.fixture(scope="module")
def in_rust_kernel(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Planted:
    oracle("riscv64-unknown-elf-ld")
    folder = tmp_path_factory.mktemp("rust")
    names = ", ".join(case.name for case in _IN_RUST)
    kept = f'#[used] static ALL: [unsafe extern "C" fn(); {len(_IN_RUST)}] = [{names}];'
    source = "\n".join((_RUST, *map(in_rust, _IN_RUST), kept))
    (folder / "planted.rs").write_text(source)
    crates = [rust.HERE / "crates" / f"{crate}.rs" for crate in ("support", "buddy_system_allocator")]
    elf = rust.kernel(folder / "planted.rs", crates, folder, optimise="0")
    machine = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20))
    machine.load(elf)
    sanitizer = AddressSanitizer(machine)
    machine.run()
    return Planted(machine, sanitizer, source)


@pytest.mark.slow
def test_a_rust_kernel_is_accused_of_its_mistakes_alone(in_rust_kernel: Planted) -> None:
    for case in _IN_RUST:
        in_rust_kernel.check(case)


def test_there_are_enough_of_them() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    counts = [sum(not case.bug.startswith("+") for case in cases) for cases in (CASES, CASES, _IN_RUST)]
    assert sum(counts) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_c_kernel_with_xv6_habits_is_accused_of_its_mistakes_alone(in_c_kernel: Planted, case: Case) -> None:
    in_c_kernel.check(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_this_kernel_is_accused_of_mistakes_in_assembly_alone(in_this_kernel: Planted, case: Case) -> None:
    in_this_kernel.check(case, may_panic=not case.width)  # it finds bad frees itself


def test_a_stack_that_grows_out_of_its_bounds_is_named_and_one_that_fills_them_is_not(in_c_kernel: Planted) -> None:
    assert in_c_kernel.run("deeper", 25) == []
    found = in_c_kernel.run("deeper", 40)
    assert {each.bug for each in found} == {Bug.STACK}
    machine = in_c_kernel.machine
    place = machine.symbols.at(found[0].pc)
    assert place is not None
    assert place[0].name == "deeper"
    stack = machine.address_of("boot_stack")
    assert stack - 256 <= found[0].address < stack
    assert len(found[0].callers) > 10


@pytest.mark.parametrize(
    "profile", ["step-by-step", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rcore-v3", "full"))]
)
def test_this_kernels_own_work_is_left_alone(profile: str, kernel_of: Callable[..., BuiltKernel]) -> None:
    machine, found = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20)), list[MemoryBug]()
    machine.load(kernel_of(profile).elf)
    sanitizer = AddressSanitizer(machine)
    machine.on(MemoryBug, found.append)
    machine.run()
    assert found == []
    assert sanitizer.learned > 0


def test_random_work_of_a_correct_kernel_is_left_alone(in_c_kernel: Planted) -> None:
    for seed in range(20):
        assert in_c_kernel.run("works", seed, 40) == []


@pytest.mark.slow
def test_ten_thousand_random_sequences_of_correct_allocators_are_left_alone(in_c_kernel: Planted) -> None:
    machine = in_c_kernel.machine
    for seed in range(10_000):
        if seed % 50 == 0:
            in_c_kernel.run("works", seed, 6)
        else:
            machine.call("works", seed, 6)
    assert in_c_kernel.found == []
