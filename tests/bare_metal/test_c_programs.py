"""C programs on bare metal, compiled by Debian's gcc with picolibc: console and exit status beside QEMU's."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
EKERNEL = str(Path(sys.executable).parent / "ekernel")
UART = "uart"
"""The program that prints by itself; all others ask the host."""
TYPED = {"echo": b"some words,\nand more of them", "uart": b"123\n"}
MEMORY = {"__flash": "0x80000000", "__flash_size": "4M", "__ram": "0x80400000", "__ram_size": "4M"}
"""Where picolibc's linker script puts code and data."""
STATUS = {"stdio": 7, "control": 42, "assertion": 128 + 6, "trap": 7, "uart": 3, "calls": 0xFF}


@pytest.fixture(scope="session")
def compiled(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("bare-metal")
    compiler = oracle("riscv64-unknown-elf-gcc")

    @cache
    def make(name: str) -> Path:
        elf = folder / f"{name}.elf"
        library = ["--crt0=hosted"] if name == UART else ["--crt0=semihost", "--oslib=semihost"]
        command = [
            compiler, "--specs=picolibc.specs", *library, "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-O2",
            "-DPICOLIBC_DOUBLE_PRINTF_SCANF", *(f"-Wl,--defsym={symbol}={value}" for symbol, value in MEMORY.items()),
            "-o", str(elf), str(PROGRAMS / f"{name}.c"), "-lm",
        ]  # fmt: skip
        subprocess.run(command, check=True)
        return elf

    return make


def run(command: list[str], name: str, elf: Path, folder: Path) -> tuple[int, str]:
    """The exit status, and everything that was printed: QEMU divides it between two streams as it likes."""
    folder.mkdir()
    (folder / elf.name).write_bytes(elf.read_bytes())
    (folder / "given.txt").write_text("a file of the host\n")
    command = [*command, "-M", "virt", "-bios", "none", "-kernel", elf.name]
    result = subprocess.run(
        command, input=TYPED.get(name, b""), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, timeout=60,
        check=False,
    )  # fmt: skip
    return result.returncode, result.stdout.decode()


@pytest.fixture(scope="session")
def on_qemu(
    oracle: Callable[[str], str], compiled: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[int, str]]:
    qemu = oracle("qemu-system-riscv64")

    @cache
    def results(name: str) -> tuple[int, str]:
        words = ["-serial", "stdio"] if name == UART else ["-serial", "null", "-semihosting"]
        folder = tmp_path_factory.mktemp("qemu") / "here"
        return run([qemu, "-display", "none", "-monitor", "none", *words], name, compiled(name), folder)

    return results


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
@pytest.mark.parametrize("name", sorted(path.stem for path in PROGRAMS.glob("*.c")))
def test_a_c_program_prints_and_ends_as_on_qemu(compiled, on_qemu, tmp_path, name, fidelity):
    words = [] if name == UART else ["-semihosting", "--semihosting-files", "."]
    folder = tmp_path / "here"
    ours = run([EKERNEL, "run", "-q", "--fidelity", fidelity, *words], name, compiled(name), folder)
    assert ours == on_qemu(name)
    assert ours[0] == STATUS.get(name, 0)


@pytest.mark.parametrize(
    "words", [["-semihosting", "-append", "some  words"], ["-semihosting-config", "enable=on,arg=a,arg=b,,c"]]
)
def test_a_program_gets_the_arguments_that_qemu_gives_it(oracle, compiled, tmp_path, words):
    elf = compiled("stdio")
    ours = run([EKERNEL, "run", "-q", *words], "stdio", elf, tmp_path / "ours")
    theirs = run([oracle("qemu-system-riscv64"), "-display", "none", *words], "stdio", elf, tmp_path / "theirs")
    assert ours == theirs
    assert "argv[2]" in ours[1]
