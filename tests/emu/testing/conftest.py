"""C functions compiled by GNU's compiler, and folders in which pytest runs."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.firmware.image import Image

COMMAND = [
    "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-ffreestanding", "-nostdlib", "-nostartfiles",
    "-Wl,-e,0x80200000", "-Wl,-Ttext=0x80200000", "-Wl,--build-id=none",
]  # fmt: skip


@pytest.fixture(scope="session")
def compile_c(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Image]:
    """`compile_c(path_or_text, "-g", "-O1")`: an image with the functions of a C file."""
    compiler, folder = oracle("riscv64-unknown-elf-gcc"), tmp_path_factory.mktemp("functions")

    def make(source: Path | str, *options: str) -> Image:
        path = source if isinstance(source, Path) else folder / "given.c"
        if isinstance(source, str):
            path.write_text(source)
        elf = folder / "functions.elf"
        subprocess.run([compiler, *COMMAND, *options, "-o", str(elf), str(path)], check=True)
        return Image.open(elf)

    return make


@pytest.fixture(scope="session")
def functions(compile_c: Callable[..., Image]) -> Image:
    """The functions of functions.c, with debug information."""
    return compile_c(Path(__file__).with_name("functions.c"), "-g", "-O1", "-fno-inline")


@pytest.fixture
def project(pytester: pytest.Pytester, build: object) -> pytest.Pytester:
    """A folder with a kernel, in which pytest runs in this process."""
    from tests.emu.testing.projects import kernel_elf

    (pytester.path / "kernel.elf").write_bytes(kernel_elf())
    pytester.makeini("[pytest]\nekernel_kernel = kernel.elf\nekernel_until = ready\nekernel_memory = 16M\n")
    return pytester
