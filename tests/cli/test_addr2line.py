"""`ekernel addr2line` beside GNU's, address by address."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ekernel

SOURCES = {
    "shapes.c": """
        struct box { int width, height; };
        static inline __attribute__((always_inline)) int area(const struct box *box)
        {
            __asm__ volatile("" ::: "memory");
            return box->width * box->height;
        }
        static inline __attribute__((always_inline)) int larger(const struct box *a, const struct box *b)
        {
            return area(a) > area(b)
                ? area(a)
                : area(b);
        }
        __attribute__((noinline)) int pick(const struct box *a, const struct box *b, int n)
        {
            int sum = 0;
            for (int i = 0; i < n; i++)
                sum += larger(a + i, b + i);
            return sum;
        }
        static struct box boxes[4];
        int _start(void) { return pick(boxes, boxes + 2, 2); }
    """,
    "plain.S": " .globl halt\n .type halt, @function\nhalt: wfi\n j halt\n .size halt, . - halt\n",
}


@pytest.fixture(scope="module")
def executable(tmp_path_factory: pytest.TempPathFactory, oracle: Callable[[str], str]) -> Path:
    folder = tmp_path_factory.mktemp("shapes")
    for name, source in SOURCES.items():
        (folder / name).write_text(source)
    gcc = oracle("riscv64-unknown-elf-gcc")
    subprocess.run([gcc, "-c", "-o", "plain.o", "plain.S"], cwd=folder, check=True)
    flags = ["-O2", "-g", "-nostdlib", "-mcmodel=medany", "-Ttext=0x80200000"]
    subprocess.run([gcc, *flags, "-o", "shapes.elf", "shapes.c", "plain.o"], cwd=folder, check=True)
    return folder / "shapes.elf"


@pytest.mark.parametrize("words", ["", "-f", "-fi", "-fp", "-p", "-a", "-fipa", "-sfip", "-ia", "-fC"])
def test_each_address_is_translated_as_gnu_does(
    ekernel: Ekernel, executable: Path, oracle: Callable[[str], str], words: str
) -> None:
    options = words.split()
    addresses = [f"{address:#x}" for address in range(0x80200000, 0x80200080, 2)] + ["0", "8", "nothing", "80200000"]
    gnu = [oracle("riscv64-unknown-elf-addr2line"), "-e", str(executable), *options, *addresses]
    shown = subprocess.run(gnu, capture_output=True, text=True, check=True).stdout
    shown = re.sub(r" \(discriminator \d+\)", "", shown)  # which of several blocks of a line
    ours = ekernel("addr2line", "-e", executable, *options, *addresses)
    assert ours.stdout.splitlines() == shown.splitlines()
    assert ours.returncode == 0


def test_addresses_come_from_standard_input_where_none_are_given(ekernel: Ekernel, executable: Path) -> None:
    result = ekernel("addr2line", "-fpse", executable, typed="0x80200000\n8\n")
    assert re.fullmatch(r"\w+ at shapes.c:\d+\n\?\? \?\?:0\n", result.stdout)


@pytest.mark.parametrize(("name", "said"), [("missing", "No such file"), ("shapes.c", "is not an ELF file")])
def test_a_file_that_cannot_be_read_is_one_message(ekernel: Ekernel, executable: Path, name: str, said: str) -> None:
    result = ekernel("addr2line", "-e", executable.with_name(name), "0")
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
