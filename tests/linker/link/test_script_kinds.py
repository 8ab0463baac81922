"""Constructs of real projects' scripts, one at a time: symbols, sections and segments are those of GNU ld."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from linker.commands.ld import main
from tests.linker.dissect import Oracle
from tests.linker.link.test_same_as_gnu import assert_same

SOURCE = """
    .globl _start, buffer, value
_start: nop
    ret
    .data
value: .word 7
    .bss
    .space 12
    .section .noinit, "aw", @nobits
buffer: .space 40
    .section .init_array, "aw", @init_array
    .dword _start
    .section .tdata, "awT", @progbits
    .word 1
    .section .tbss, "awT", @nobits
    .balign 16
    .word 0
    .section .extra, "a"
    .word 9
    .section .note.GNU-stack, "", @progbits
    .weak wanted
    .data
    .dword wanted
    .section .note.one, "a", @note
    .word 4, 4, 1, 0x00444c45, 7
    .section .note.two, "a", @note
    .balign 8
    .word 4, 4, 1, 0x00444c45, 7
    .section .later, "a"
    .word 1
    .comm shared, 40, 16
"""
PLAIN = ".text : { *(.text) } .data : { *(.data) } .bss : { *(.bss) }"
MEMORY = "MEMORY { R : ORIGIN = 0x80000000, LENGTH = 64K } "
KINDS = {
    "orphans beside a group of notes": ("SECTIONS { . = 4K; .rodata : { BYTE(1) } .text : { *(.text) } }",),
    "notes beside what is not loaded": (f"SECTIONS {{ . = 4K; {PLAIN} .mark (NOLOAD) : {{ SHORT(1) . += 8; }} }}",),
    "what is not loaded and has an address": (
        "SECTIONS { .text 4K : { *(.text) } .got 0x5234 (INFO) : { BYTE(5) } .bss : { *(.bss) } }",
    ),
    "a gap before an orphan": ("SECTIONS { . = 4K; .text : { *(.text) } .bss : { BYTE(1) *(.bss) . += 4; } =0x90 }",),
    "room without contents": (f"SECTIONS {{ . = 4K; {PLAIN} .room (COPY) : {{ . += 16; }} =0x90 }}",),
    "a number in a section that is left out": (
        f"SECTIONS {{ . = 4K; {PLAIN} .gone : {{ six = SIZEOF(.data); *(.nobody) }} .last : {{ *(.extra) }} }}",
    ),
    "a string over several lines": (f'SECTIONS {{ . = 0x1000; {PLAIN} }} ASSERT(SIZEOF(.bss) < 4K, "too\nlarge")',),
    "suffixes of numbers": ("a = 1010b; b = 17o; c = 0ffh; d = 99d; e = 1fX; SECTIONS { .x : { *(*) } }",),
    "digits that a base lacks": ("a = 21b; b = 28B; c = 129O; d = 0779; e = 5cD; f = 09K; SECTIONS { .x : { *(*) } }",),
    "one script for the memory, one for the sections": (
        f'{MEMORY} REGION_ALIAS("CODE", R);',
        "SECTIONS { .text : { *(.text*) } >CODE .rest : { *(*) } >R }",
    ),
    "the first PROVIDE holds": (f"PROVIDE(wanted = 4K); PROVIDE(wanted = 0); SECTIONS {{ . = 4K; {PLAIN} }}",),
    "an assignment before a PROVIDE": (f"wanted = 4K; PROVIDE(wanted = 0); SECTIONS {{ . = 4K; {PLAIN} }}",),
    "'.' set to the end of a region": (
        f"{MEMORY} SECTIONS {{ .all : {{ *(*) }} >R .s (NOLOAD) : {{ . = ORIGIN(R) + LENGTH(R); top = .; }} >R }}",
    ),
    "'.' set to an absolute address": (f"SECTIONS {{ . = 4K; {PLAIN} .p : {{ . = ABSOLUTE(0x3000); }} top = .; }}",),
    "an orphan before a discarding statement": (
        f"SECTIONS {{ . = 4K; {PLAIN} . = ALIGN(4K); last = .; /DISCARD/ : {{ *(.note*) }} }}",
    ),
    "a stack of a provided size": (
        f"PROVIDE(room = 1K); SECTIONS {{ . = 4K; {PLAIN} .s (NOLOAD) : ALIGN(16) {{ . += room; }} last = .; }}",
    ),
    ".text with writable input": (f"SECTIONS {{ . = 4K; .text : {{ *(.text .init_array) }} . = ALIGN(4K); {PLAIN} }}",),
    "NOLOAD with data": (
        f"SECTIONS {{ . = 4K; .t : {{ *(.tdata) *(.tbss) }} {PLAIN} .mark (NOLOAD) : {{ BYTE(1) LONG(2) }} }}",
    ),
    "an empty section with an address": (f"SECTIONS {{ . = 4K; {PLAIN} .no 0x9000 : {{ *(.no) }} here = .; }}",),
    "an empty section with an alignment": (f"SECTIONS {{ . = 4K; {PLAIN} .no : ALIGN(64) {{ *(.no) }} here = .; }}",),
    "an empty section that moves '.'": (f"SECTIONS {{ . = 4K; {PLAIN} .p : {{ . = ALIGN(4K); x = .; }} here = .; }}",),
    "a section stated twice": (f"SECTIONS {{ . = 4K; {PLAIN} .data : {{ *(.extra) }} last = .; }}",),
    "a thread-local block": (f"SECTIONS {{ . = 4K; {PLAIN} .tdata : {{ *(.tdata) }} .tbss : {{ *(.tbss) }} x = .; }}",),
    "headers in the image": (f"SECTIONS {{ . = 0x10000 + SIZEOF_HEADERS; {PLAIN} }}",),
    "an alias has the type of what it names": (
        f"SECTIONS {{ . = 4K; {PLAIN} }} alias = value + 0; HIDDEN(own = alias);",
    ),
    "OVERLAY": (
        f"""SECTIONS {{ . = 4K; {PLAIN}
        OVERLAY 0x8000 : AT(0x20000) {{ .one {{ *(.extra) }} .two {{ LONG(2) LONG(3) }} }}
        from = __load_start_two; upto = __load_stop_two; here = .; }}""",
    ),
    "INSERT": ("SECTIONS { .new : { *(.extra) } new_end = .; } INSERT AFTER .text;", f"SECTIONS {{ . = 4K; {PLAIN} }}"),
    "INSERT into the built-in script": ("SECTIONS { .new : { *(.extra) } } INSERT BEFORE .data;",),
    "a type for a section": (
        f"SECTIONS {{ . = 4K; {PLAIN} .n (TYPE = SHT_NOTE) : {{ LONG(1) }} .r (READONLY) : {{ *(.extra) }} }}",
    ),
    "segments of the script": (
        """PHDRS { code PT_LOAD FLAGS(5); data PT_LOAD; tls PT_TLS; }
        SECTIONS { . = 4K; .text : { *(.text) } :code . = ALIGN(4K); .data : { *(.data) } :data
        .tdata : { *(.tdata) } :data :tls .tbss : { *(.tbss) } .bss : { *(.bss) } :data }""",
    ),
    "room in no segment": (
        "PHDRS { a PT_LOAD; } SECTIONS { .got : { . += 6; } :NONE .text 4K : { *(.text) } :a .rest : { *(*) } :a }",
    ),
    "a section asked for amid thread-local data": (
        """SECTIONS { . = 0x1004; .tdata : { *(.tdata) } PROVIDE(wanted = ADDR(.no)); .tbss : ALIGN(64) { *(.tbss) }
        .no : { } .rest : { *(.text .data) } }""",
    ),
    "a symbol before thread-local data only": ("SECTIONS { here = .; .tdata : { *(.tdata) } /DISCARD/ : { *(*) } }",),
}


@pytest.fixture
def sample(tmp_path: Path, oracle: Oracle) -> Path:
    (tmp_path / "sample.s").write_text(SOURCE)
    command = [oracle("riscv64-unknown-elf-gcc"), "-march=rv64gc", "-mabi=lp64d", "-c", "sample.s", "-o", "sample.o"]
    subprocess.run(command, check=True, cwd=tmp_path)
    return tmp_path / "sample.o"


def saved(tmp_path: Path, scripts: tuple[str, ...]) -> list[str | Path]:
    arguments: list[str | Path] = []
    for number, text in enumerate(scripts):
        (tmp_path / f"{number}.ld").write_text(text)
        arguments += ["-T", tmp_path / f"{number}.ld"]
    return arguments


@pytest.mark.parametrize("scripts", KINDS.values(), ids=KINDS)
def test_a_construct_lays_out_as_in_gnu(
    scripts: tuple[str, ...],
    sample: Path,
    tmp_path: Path,
    gnu_ld: Callable[..., Path],
    our_ld: Callable[..., Path],
) -> None:
    arguments = [*saved(tmp_path, scripts), sample]
    assert_same(gnu_ld(*arguments), our_ld(*arguments))


def test_a_load_address_beyond_the_last_is_an_error_as_in_gnu(
    sample: Path, tmp_path: Path, oracle: Oracle, capsys: pytest.CaptureFixture[str]
) -> None:
    given = saved(tmp_path, (f"SECTIONS {{ . = 4K; {PLAIN} .heap : AT(0 - 16) {{ . += 32; }} }}",))
    command = [oracle("riscv64-unknown-elf-ld"), "--no-relax", "-o", str(tmp_path / "out.elf"), *given, sample]
    assert "LMA wraps around" in subprocess.run(command, check=False, capture_output=True, text=True).stderr
    assert main(["-o", str(tmp_path / "out.elf"), *map(str, [*given, sample])]) == 1
    assert "(load address 0xfffffffffffffff0, 0x20 bytes) wraps around" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["PROVIDE(wanted = 5);", "wanted = 5;", ""])
@pytest.mark.parametrize("first", [True, False])
def test_a_symbol_of_the_command_line_holds_as_in_gnu(
    script: str,
    first: bool,
    sample: Path,
    tmp_path: Path,
    gnu_ld: Callable[..., Path],
    our_ld: Callable[..., Path],
) -> None:
    given = saved(tmp_path, (f"{script} SECTIONS {{ . = 4K; {PLAIN} }} copy = wanted;",))
    define = ["--defsym=wanted=0x2000"]
    arguments = [*define, *given] if first else [*given, *define]
    assert_same(gnu_ld(*arguments, sample), our_ld(*arguments, sample))


@pytest.mark.parametrize("option", ["-n", "-N", "-zmax-page-size=16384"])
def test_page_options_lay_out_the_file_as_in_gnu(
    option: str, sample: Path, tmp_path: Path, gnu_ld: Callable[..., Path], our_ld: Callable[..., Path]
) -> None:
    arguments = [option, *saved(tmp_path, (f"SECTIONS {{ . = 0x10000; {PLAIN} }}",)), sample]
    assert_same(gnu_ld(*arguments), our_ld(*arguments))


@pytest.fixture
def objects(oracle: Oracle, tmp_path: Path) -> Path:
    """A directory with two small objects, the second of an architecture of its own."""
    for name, more in (("first", ""), ("second", '.attribute arch, "rv64gc_zba"')):
        source = tmp_path / f"{name}.s"
        source.write_text(f"{more}\n.globl {name}, _start\n.weak _start\n_start: {name}: nop\n.data\n.word 1\n")
        command = [oracle("riscv64-unknown-elf-as"), "-march=rv64gc", str(source), "-o", str(tmp_path / f"{name}.o")]
        subprocess.run(command, check=True)
    (tmp_path / "named.ld").write_text("SECTIONS { .text 4K : { *(.text) } .first : { second.o(.data) } }")
    (tmp_path / "asking.ld").write_text(
        "ENTRY(gone) EXTERN(asked first) SECTIONS { .text 4K : { *(.text) } } x = DEFINED(other) ? other : 1;"
    )
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        "-T named.ld first.o second.o",
        "first.o -T named.ld second.o",
        "first.o second.o -T named.ld",
        "-T named.ld first.o",
        "-T asking.ld first.o",
        "-T asking.ld -u nobody -e missing second.o first.o",
        "-T asking.ld --gc-sections first.o second.o",
    ],
)
def test_what_a_script_asks_for_by_name_comes_as_in_gnu(
    arguments: str, objects: Path, gnu_ld: Callable[..., Path], our_ld: Callable[..., Path]
) -> None:
    assert objects
    assert_same(gnu_ld(*arguments.split()), our_ld(*arguments.split()))
