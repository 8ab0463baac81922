"""C kernels and programs, built by Debian's compiler: freestanding, with picolibc, and with newlib's allocators."""

import subprocess
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from emu.observe.allocations.ledger import AllocationLedger
from emu.observe.allocations.observers import FrameObserver, HeapObserver
from tests.oracles import missing

KERNELS = Path(__file__).parent / "kernels"
Build = Callable[..., Path]
_OPTIONS = [
    "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-O2", "-g", "-fno-inline", "-fno-ipa-sra",
    "-fno-optimize-sibling-calls",
]  # fmt: skip
_SCRIPT = (
    "ENTRY(_start) SECTIONS { . = 0x80200000; .text : { *(.text.entry) *(.text*) }"
    " .rodata : { *(.rodata* .srodata*) } .data : { *(.data* .sdata*) }"
    " .bss : { *(.bss* .sbss* COMMON) } . = ALIGN(4096); end = .; }"
)
_HOSTED = {"__flash": "0x80000000", "__flash_size": "4M", "__ram": "0x80400000", "__ram_size": "4M"}
_PICOLIBC = ["--specs=picolibc.specs", "-nostartfiles", "-Wl,--no-gc-sections", "-Wl,--defsym=__heap_start=heap",
             "-Wl,--defsym=__heap_end=heap+0x10000"]  # fmt: skip
_NEWLIB = ("newlib/libc/include/", "newlib/libc/stdlib/malloc.c", "newlib/libc/stdlib/mallocr.c",
           "newlib/libc/stdlib/nano-mallocr.c")  # fmt: skip


@pytest.fixture(scope="session")
def built(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Build:
    """`built("pages")`: a kernel at 0x80200000; `built("library", "-DX")`: a program with semihosting.

    A library with `built("libc", library="picolibc")`, or "newlib" and "newlib-nano".
    """
    compiler, folder = oracle("riscv64-unknown-elf-gcc"), tmp_path_factory.mktemp("c-kernels")
    script = folder / "kernel.ld"
    script.write_text(_SCRIPT)

    def compiled(*words: str | Path) -> None:
        subprocess.run([compiler, *_OPTIONS, *words], check=True)

    @cache
    def sources() -> Path:
        return _newlib(folder)

    @cache
    def newlib(name: str) -> list[str]:
        """The objects of one of newlib's two allocators."""
        place, objects = sources() / "newlib/libc", []
        allocator = "nano-mallocr.c" if name == "newlib-nano" else "mallocr.c"
        for file, part in ((allocator, "-DDEFINE_MALLOC"), (allocator, "-DDEFINE_FREE"), ("malloc.c", "-UX")):
            objects.append(f"{folder}/{name}{part}-{file}.o")
            compiled("-w", "-DINTERNAL_NEWLIB", part, "-isystem", place / "include", "-c", "-o", objects[-1],
                     place / "stdlib" / file)  # fmt: skip
        return objects

    @cache
    def make(name: str, *options: str, library: str = "") -> Path:
        elf = folder / f"{name}{library}{''.join(options)}.elf"
        words = ["-ffreestanding", "-nostdlib", "-T", str(script), "-Wl,--no-warn-rwx-segments"]
        if name == "library":
            words = ["--specs=picolibc.specs", "--crt0=semihost", "--oslib=semihost"]
            words += [f"-Wl,--defsym={symbol}={value}" for symbol, value in _HOSTED.items()]
        elif library == "picolibc":
            words = [word for word in words if word != "-nostdlib"] + _PICOLIBC
        objects = newlib(library) if library.startswith("newlib") else []
        compiled(*words, *options, "-o", elf, KERNELS / f"{name}.c", *objects)
        return elf

    return make


def _newlib(folder: Path) -> Path:
    """Sources of newlib, as Debian has them."""
    archive = next(iter(Path("/usr/src/newlib").glob("newlib-*.tar.xz")), None)
    if archive is None:
        missing("newlib's sources are not installed (Debian's package newlib-source: see .ci/run)")
    with tarfile.open(archive) as opened:
        top = opened.next().name.partition("/")[0]  # type: ignore[union-attr]
        wanted = [member for member in opened if member.name.partition("/")[2].startswith(_NEWLIB)]
        opened.extractall(folder, members=wanted, filter="data")
    return folder / top


def loaded(elf: Path) -> tuple[Machine, AllocationLedger]:
    """A machine with a kernel that was not started, and who holds what."""
    machine = Machine(MachineConfig(fidelity="fast", ram_size=16 << 20))
    machine.load(elf)
    FrameObserver(machine)
    HeapObserver(machine)
    machine.hart.x["sp"], machine.hart.x["tp"] = 0x8090_0000, 0x8088_0000
    return machine, AllocationLedger(machine)
