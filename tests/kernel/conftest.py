"""The machine that most tests of the kernel ask, and programs that run in it."""

import struct
from collections.abc import Callable

import pytest

from emu.machine import Machine
from kernel.build import BuiltKernel
from kernel.sources import KERNEL_DIRECTORY, sources_of_program
from linker import link
from linker.assembler import AssemblerOptions, assemble
from tests.kernel import running
from tests.kernel.running import text_at


@pytest.fixture
def machine(boot: Callable[..., Machine], kernel_of: Callable[..., BuiltKernel]) -> Machine:
    """The kernel of `full`, with all memory set up, paging on and the trampoline mapped, before it starts a process."""
    return boot(kernel_of("full").elf, until="process_selftest", most=2_000_000)


@pytest.fixture
def run_image(machine: Machine) -> Callable[[bytes], tuple[int, str]]:
    """Runs an ELF program: its exit code and what was printed. Frames and heap in use are the same afterwards."""

    def run(image: bytes) -> tuple[int, str]:
        place = machine.call("frame_alloc_contiguous", len(image) // 4096 + 1) << 12
        machine.memory.write(place, image)
        entry = machine.call("program_find", text_at(machine, "hello"))  # it takes the place of `hello`
        machine.memory.write(entry + 8, struct.pack("<QQ", place, place + len(image)))
        return running.run(machine, "hello")

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
