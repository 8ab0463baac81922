import subprocess
from pathlib import Path

import pytest

from kernel.build import profile_named
from kernel.sources import defines_of, sources_of, sources_of_program
from linker.assembler import AssemblerOptions

SOURCES = sorted(Path(__file__).with_name("sources").glob("*.s"))
KERNEL = Path(__file__).parents[3] / "kernel"
C_FLAGS = (
    "-O0",
    "-O2 -fasynchronous-unwind-tables",
    "-O2",
    "-O3",
    "-Os -mcmodel=medany",
    "-O2 -fPIC",
    "-O1 -ffunction-sections -fdata-sections",
)


@pytest.mark.parametrize("march", ["rv64gc", "rv64g"])
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_source_becomes_the_object_that_gnu_makes_of_it(reference, path, march):
    reference.check(path.read_text(encoding="utf-8"), AssemblerOptions(march=march))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_source_becomes_the_object_that_gnu_makes_of_it_for_a_relaxing_linker(reference, path):
    reference.check(path.read_text(encoding="utf-8"), AssemblerOptions(relax=True))


@pytest.mark.parametrize("flags", C_FLAGS)
def test_what_gcc_writes_becomes_the_object_that_gnu_makes_of_it(reference, oracle, tmp_path, flags):
    program = Path(__file__).with_name("sources") / "program.c"
    output = tmp_path / "program.s"
    fixed = ["-S", "-ffreestanding", "-march=rv64gc", "-mabi=lp64d"]
    gcc = oracle("riscv64-unknown-elf-gcc")
    subprocess.run([gcc, *fixed, *flags.split(), "-o", str(output), str(program)], check=True)
    reference.check(output.read_text(encoding="utf-8"))


def kernel_sources():
    found = {}
    for name in ("full", "step-by-step"):
        profile = profile_named(name)
        options = AssemblerOptions(include_dirs=(KERNEL,), defines=defines_of(profile))
        programs = [path for program in profile.programs for path in sources_of_program(program)]
        for path in (*sources_of(profile), *programs):
            found[f"{name}-{path.relative_to(KERNEL)}"] = (path, options)
    return found


@pytest.mark.parametrize(("path", "options"), kernel_sources().values(), ids=kernel_sources())
def test_the_kernels_sources_become_the_objects_that_gnu_makes_of_them(reference, path, options):
    reference.check(path.read_text(encoding="utf-8"), options)
