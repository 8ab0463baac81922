"""Kernels built once for all tests, and machines that they have booted on."""

import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from kernel.build import BuiltKernel, build, profile_named
from kernel.sources import KERNEL_DIRECTORY, sources_of_program
from linker import link
from linker.assembler import AssemblerOptions, assemble


@pytest.fixture(scope="session")
def kernel_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., BuiltKernel]:
    """The kernel of a profile, with other allocators, page replacement and store if wanted."""
    directory = tmp_path_factory.mktemp("kernels")

    @cache
    def built(
        name: str,
        frames: str | None = None,
        heap: str | None = None,
        replacement: str | None = None,
        store: str | None = None,
    ) -> BuiltKernel:
        place = directory / f"{name}-{frames}-{heap}-{replacement}-{store}"
        return build(profile_named(name), place, frames=frames, heap=heap, replacement=replacement, store=store)

    return built


@pytest.fixture(scope="session")
def machine_with() -> Callable[[Path, int], Machine]:
    """A machine with a kernel loaded that has not run yet."""

    def loaded(elf: Path, ram_size: int) -> Machine:
        machine = Machine(MachineConfig(ram_size=ram_size))
        machine.load(elf)
        return machine

    return loaded


@pytest.fixture(scope="session")
def paging_kernel(
    kernel_of: Callable[..., BuiltKernel], machine_with: Callable[[Path, int], Machine]
) -> tuple[Machine, object]:
    kernel = kernel_of("full")
    machine = machine_with(kernel.elf, kernel.profile.ram_size)
    machine.run(2_000_000, until="process_selftest")
    assert machine.hart.pc == machine.address_of("process_selftest")
    return machine, machine.snapshot()


@pytest.fixture
def run_image(paging: Machine) -> Callable[[bytes], tuple[int, str]]:
    """Runs an ELF program: its exit code and what was printed. Frames and heap in use are the same afterwards."""

    def run(image: bytes) -> tuple[int, str]:
        machine = paging
        name = machine.call("heap_alloc", 8, 8)
        machine.memory.write(name, b"hello\0")
        place = machine.call("frame_alloc_contiguous", len(image) // 4096 + 1) << 12
        machine.memory.write(place, image)
        entry = machine.call("program_find", name)  # it takes the place of `hello`
        machine.memory.write(entry + 8, struct.pack("<QQ", place, place + len(image)))
        use = machine.call("frame_in_use"), machine.call("heap_requested")
        before = len(machine.console)
        code = machine.call("process_run", name, max_instructions=50_000_000)
        assert (machine.call("frame_in_use"), machine.call("heap_requested")) == use
        return code, machine.console[before:].decode()

    return run


@pytest.fixture
def run_program(run_image: Callable[[bytes], tuple[int, str]]) -> Callable[[str], tuple[int, str]]:
    """The same for a program in assembly that defines `main` and may use the user library."""

    def run(source: str) -> tuple[int, str]:
        options = AssemblerOptions(include_dirs=(KERNEL_DIRECTORY,))
        library = [path for path in sources_of_program("hello") if path.name != "hello.S"]
        objects = [assemble(path.read_text(), name=str(path), options=options) for path in library]
        text = f'.include "lib/abi.inc"\n.text\n{source}\n'
        objects.append(assemble(text, name="program.S", options=options))
        script = KERNEL_DIRECTORY / "user/program.ld"
        return run_image(link(objects, script=script.read_text(), script_name=str(script)).elf)

    return run


@pytest.fixture
def paging(paging_kernel: tuple[Machine, object]) -> Machine:
    """The kernel of `full`, with all memory set up, paging on and the trampoline mapped, before it starts a process."""
    machine, snapshot = paging_kernel
    machine.restore(snapshot)
    return machine
