"""A kernel that nobody knows, with an allocator on another, described in a few lines: the first line is the cause."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ekernel

HERE = Path(__file__).parent
Build = Callable[..., Path]
_LINES = (HERE / "slab.c").read_text().splitlines()
_KINDS = {
    1: "slab-out-of-bounds", 2: "slab-use-after-free", 3: "double-free", 4: "slab-out-of-bounds",
    5: "slab-out-of-bounds", 6: "invalid-free", 8: "wild-memory-access",
    9: "use-after-free", 10: "double-free", 11: "wild-memory-access",
}  # fmt: skip


@pytest.fixture
def built(oracle: Callable[[str], str], tmp_path: Path) -> Build:
    """`built(3, "-O2")`: the kernel with a mistake; its description lies beside it."""
    shutil.copy(HERE / "slab.toml", tmp_path)

    def make(mistake: int, *options: str) -> Path:
        flags = ["-g", "-ffreestanding", "-nostdlib", "-mcmodel=medany", "-mno-relax", "-w"]
        flags += ["-Wl,-Ttext=0x80200000,-e,_start"]
        command = [oracle("riscv64-unknown-elf-gcc"), *flags, *options, f"-DMISTAKE={mistake}", "-o", "slab.elf"]
        subprocess.run([*command, HERE / "slab.c"], cwd=tmp_path, check=True)
        return tmp_path / "slab.elf"

    return make


@pytest.mark.parametrize("level", ["-O1", "-O2"])
@pytest.mark.parametrize("mistake", _KINDS)
def test_the_first_line_names_the_mistake_and_its_line(
    ekernel: Ekernel, built: Build, mistake: int, level: str
) -> None:
    result = ekernel("run", built(mistake, level), "--allocator", "slab.toml", "--sanitize", "address", "-q")
    rule, first, *_ = result.stderr.splitlines()
    assert set(rule) == {"="}
    found = re.fullmatch(r"BUG: ekernel: (\S+) in \w+\+\S+ \(slab\.c:(\d+)\)(?:, inlined at slab\.c:(\d+))?", first)
    assert found is not None, first
    assert found[1] == _KINDS[mistake]
    assert any(_LINES[int(line) - 1].endswith(f"// MISTAKE {mistake}") for line in found.groups()[1:] if line), first
    assert result.returncode == 1


@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
def test_a_kernel_without_mistakes_is_accused_of_none_and_one_that_forgets_of_that(
    ekernel: Ekernel, built: Build, level: str
) -> None:
    options = ("--allocator", "slab.toml", "--sanitize", "address", "--fail-on", "double-free,bad-free,overlap")
    result = ekernel("run", built(0, level), *options)
    assert (result.returncode, "BUG" in result.stderr) == (0, False)
    assert "heap    41 allocated, 41 freed, 0 still held" in result.stderr
    assert "allocs  as described: slabs over buddies" in result.stderr
    result = ekernel("run", built(7, level), *options, "--fail-on", "leaks")
    assert result.returncode == 1
    assert re.search(r"1 held since \w+\+\w+ \(slab\.c:\d+\).*: struct message, 0x\w+, 64 bytes", result.stderr)


def test_calls_that_the_compiler_has_inlined_are_named_as_unseen(ekernel: Ekernel, built: Build) -> None:
    options = ("--allocator", "slab.toml", "--sanitize", "address")
    result = ekernel("run", built(2, "-O2", "-DALLOCATOR="), *options)
    line = next(number for number, line in enumerate(_LINES, 1) if line == "    object_put(task, sizeof *task);")
    assert f"object_put is inlined at slab.c:{line}" in result.stderr
    assert "where it is not seen: compile it with noinline" in result.stderr
    assert "is inlined at" not in ekernel("run", built(2, "-O2"), *options).stderr


def test_what_has_no_names_or_no_lines_is_told_as_far_as_it_goes(ekernel: Ekernel, built: Build) -> None:
    elf = built(2, "-O1")
    command = ("run", "-q", "bare.elf", "--allocator", "slab.toml", "--sanitize", "address")
    assert ekernel("objcopy", "-g", elf, "bare.elf").returncode == 0
    assert re.search(r"BUG: ekernel: slab-use-after-free in task_end\+\w+/\w+\n", ekernel(*command).stderr)
    assert ekernel("objcopy", "-S", elf, "bare.elf").returncode == 0
    stripped = ekernel(*command)
    assert re.search(r"no symbol '\w+' in the image; the image has no symbols", stripped.stderr)
    assert stripped.returncode == 125
    assert "slab-use-after-free in task_end+" in ekernel(*command, "--symbols", elf).stderr
