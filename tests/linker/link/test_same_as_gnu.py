"""The same objects linked by GNU ld and by this linker: bytes, addresses, symbols and program headers."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.linker.dissect import PROGRAMS, SCRIPTS, Oracle, dissect
from tests.oracles import required

FLAGS = {
    "medany": ["-O2", "-mcmodel=medany", "-fno-common", "-DSINGLE"],
    "common symbols": ["-O1", "-mcmodel=medany", "-fcommon"],
    "a section for each function, debug information": [
        *("-O2", "-mcmodel=medany", "-fcommon", "-ffunction-sections", "-fdata-sections", "-g"),
    ],
    "position independent": ["-Os", "-fPIE", "-fcommon"],
    "not compressed": ["-O2", "-mcmodel=medany", "-march=rv64imafd", "-fcommon"],
}
ALL_SCRIPTS = ["rcore.ld", "high_half.ld", "xv6.ld", "regions.ld", "phdrs.ld", "orphans.ld"]


def compile_all(compile_program: Callable[..., Path], flags: list[str]) -> list[Path]:
    objects = [compile_program(name, *flags) for name in ("start.S", "main.c", "other.c")]
    for number in (1, 2):
        objects.append(compile_program("comdat.S", f"-DFUNCTION=f{number}", *flags, output=f"comdat{number}.o"))
        objects.append(compile_program("strings.S", f"-DPREFIX=s{number}", *flags, output=f"strings{number}.o"))
    return objects


def assert_same(gnu: Path, ours: Path) -> None:
    expected, found = dissect(gnu), dissect(ours)
    assert found.header == expected.header
    assert found.sections == expected.sections
    assert [name for name, data in expected.contents.items() if found.contents[name] != data] == []
    assert found.segments == expected.segments
    assert found.symbols == expected.symbols


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_programs_link_to_the_same_executable_by_every_script(
    flags: list[str],
    compile_program: Callable[..., Path],
    gnu_ld: Callable[..., Path],
    our_ld: Callable[..., Path],
) -> None:
    objects = compile_all(compile_program, flags)
    for script in ALL_SCRIPTS:
        arguments = ["-T", SCRIPTS / script, *objects]
        assert_same(gnu_ld(*arguments), our_ld(*arguments))


@pytest.mark.parametrize("script", [name for name in ALL_SCRIPTS if name != "orphans.ld"])
def test_garbage_collection_leaves_the_same_sections(
    script: str,
    compile_program: Callable[..., Path],
    gnu_ld: Callable[..., Path],
    our_ld: Callable[..., Path],
) -> None:
    objects = compile_all(compile_program, FLAGS["a section for each function, debug information"])
    arguments = ["--gc-sections", "-T", SCRIPTS / script, *objects]
    assert_same(gnu_ld(*arguments), our_ld(*arguments))


@pytest.mark.parametrize(
    "extra",
    [[], ["--gc-sections"], ["-Ttext=0x80000000"], ["-Ttext-segment=0x80000000"], ["-z", "max-page-size=65536"]],
)
def test_without_a_script_the_layout_is_that_of_gnu(
    extra: list[str],
    compile_program: Callable[..., Path],
    gnu_ld: Callable[..., Path],
    our_ld: Callable[..., Path],
) -> None:
    objects = compile_all(compile_program, FLAGS["medany"])
    arguments = [*objects, "--defsym", "__bss_end=_end", *extra]
    assert_same(gnu_ld(*arguments), our_ld(*arguments))


def test_addresses_below_two_gigabytes_are_reached_by_medlow_code(
    compile_program: Callable[..., Path],
    gnu_ld: Callable[..., Path],
    our_ld: Callable[..., Path],
) -> None:
    objects = compile_all(compile_program, ["-O0", "-mcmodel=medlow", "-fcommon"])
    arguments = [*objects, "--defsym", "__bss_end=_end"]
    assert_same(gnu_ld(*arguments), our_ld(*arguments))


def test_a_program_with_the_c_library_links_to_the_same_executable(
    tmp_path: Path, oracle: Oracle, gnu_ld: Callable[..., Path], our_ld: Callable[..., Path]
) -> None:
    compiler = oracle("riscv64-unknown-elf-gcc")
    home = required(Path("/usr/lib/picolibc/riscv64-unknown-elf/lib"), "picolibc-riscv64-unknown-elf")
    library = home / "rv64imafdc" / "lp64d"
    source = tmp_path / "hello.c"
    source.write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
        'int main(int n, char **v) { char b[99]; snprintf(b, 99, "%d %f %s", n, 3.5 * n, v[0]); puts(b);'
        " qsort(b, 9, 1, (int (*)(const void *, const void *))strcmp); return atoi(b); }\n"
    )
    machine = ["-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany"]
    subprocess.run(
        [compiler, "--specs=picolibc.specs", *machine, "-O2", "-c", str(source), "-o", "hello.o"],
        check=True,
        cwd=tmp_path,
    )
    libgcc = subprocess.run(
        [compiler, *machine, "-print-libgcc-file-name"], check=True, capture_output=True, text=True
    ).stdout.strip()
    memory = ["--defsym=__flash=0x80000000", "--defsym=__flash_size=0x100000"]
    memory += ["--defsym=__ram=0x80100000", "--defsym=__ram_size=0x100000"]
    archives = ["--start-group", library / "libc.a", "-L", library, "-lsemihost", libgcc, "--end-group"]
    objects = [library / "crt0.o", tmp_path / "hello.o"]
    for extra in ([], ["--gc-sections"]):
        arguments = [*extra, "-T", home / "picolibc.ld", *memory, *objects, *archives]
        assert_same(gnu_ld(*arguments), our_ld(*arguments))


def test_objects_of_llvms_assembler_link_the_same(
    tmp_path: Path,
    oracle: Oracle,
    compile_program: Callable[..., Path],
    gnu_ld: Callable[..., Path],
    our_ld: Callable[..., Path],
) -> None:
    start = tmp_path / "llvm.o"
    command = [oracle("llvm-mc"), "-triple=riscv64", "-mattr=+m,+a,+f,+d,+c,+relax", "-target-abi=lp64d"]
    source = str(PROGRAMS / "start.S")
    subprocess.run([*command, "-filetype=obj", "-g", source, "-o", str(start)], check=True, cwd=tmp_path)
    others = [compile_program(name, "-O1", "-mcmodel=medany", "-fcommon") for name in ("main.c", "other.c")]
    for script in ("rcore.ld", "regions.ld", "high_half.ld"):
        arguments = ["-T", SCRIPTS / script, start, *others]
        assert_same(gnu_ld(*arguments), our_ld(*arguments))


@pytest.mark.parametrize("model", ["-fPIE", "-fPIC", "-O2"])
def test_thread_local_variables_are_laid_out_and_reached_the_same(
    model: str,
    tmp_path: Path,
    compile_program: Callable[..., Path],
    gnu_ld: Callable[..., Path],
    our_ld: Callable[..., Path],
) -> None:
    objects = [compile_program("comdat.S", "-DFUNCTION=_start")]
    objects += [compile_program(name, "-O1", "-mcmodel=medany", model) for name in ("tls.c", "tls_other.c")]
    for script in ([], ["-T", SCRIPTS / "rcore.ld"], ["-T", SCRIPTS / "xv6.ld"], ["-T", SCRIPTS / "orphans.ld"]):
        arguments = [*script, "--defsym", "__tls_get_addr=_start", *objects]
        assert_same(gnu_ld(*arguments), our_ld(*arguments))
