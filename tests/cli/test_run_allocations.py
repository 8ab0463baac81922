"""What `ekernel run` says of a foreign kernel's allocations: whose they are, who leaks, what makes the run fail."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Ekernel = Callable[..., subprocess.CompletedProcess[str]]
Program = Callable[[str], Path]

KERNEL = """
    la sp, stack_top
    call set_up
    call serve
    li a7, 8
    ecall

    .macro FUNCTION name
    .type \\name, @function
    .globl \\name
\\name:
    .endm

    FUNCTION set_up
    addi sp, sp, -16
    sd ra, 8(sp)
    call take_page
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
    .size set_up, . - set_up
    FUNCTION serve
    addi sp, sp, -16
    sd ra, 8(sp)
    call take_page
    call take_page
    call give_page
    li a1, 0x80300000
    call give_page_in_a1
    ld ra, 8(sp)
    addi sp, sp, 16
    ret
    .size serve, . - serve
    FUNCTION take_page
    la t0, next
    ld a0, (t0)
    li t1, 4096
    add t1, t1, a0
    sd t1, (t0)
    ret
    .size take_page, . - take_page
    FUNCTION give_page_in_a1
    mv a0, a1
    FUNCTION give_page
    ret
    .data
    .balign 8
next: .dword 0x80300000
    .bss
    .balign 16
    .zero 512
stack_top:
"""
BLOCKS = '[[blocks]]\nfunction = "take_page"\ndoes = "allocate"\n'
NAMES = ("--frame-functions", "take_page,give_page,address")


def test_a_leak_names_its_chain_of_callers_and_its_page(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("run", "-q", program(KERNEL), *NAMES, "--fail-on", "leaks")
    assert (result.returncode, result.stderr) == (1, "ekernel: --fail-on: 1 frame and 0 heap blocks still held\n")
    told = ekernel("run", program(KERNEL), *NAMES).stderr
    assert "1 held since serve+0x8 (guest.s:" in told
    assert "), from _start: PPN:0x80301\n" in told
    assert "allocs  as described: --frame-functions\n" in told


def test_what_nothing_points_to_fails_a_run_and_what_is_kept_does_not(ekernel: Ekernel, program: Program) -> None:
    forgotten = KERNEL.replace("    li a1, 0x80300000\n", "    li a1, 0x80300000\n    li a0, 0\n")
    words = ("--frame-functions", "take_page,give_page_in_a1(a1),address", "--fail-on", "unreachable")
    result = ekernel("run", "-q", program(forgotten), *words)
    assert result.stderr == "ekernel: --fail-on: nothing points to 2 frames and 0 heap blocks\n"
    assert result.returncode == 1
    pointers = "    li s2, 0x80301\n    li s3, 0x80302008\n    li a1, 0x80300000\n"
    kept = forgotten.replace("    li a1, 0x80300000\n", pointers)
    assert ekernel("run", "-q", program(kept), *words).returncode == 0


def test_programs_are_told_the_accounts_and_by_whose_description(ekernel: Ekernel, program: Program) -> None:
    told = json.loads(ekernel("run", "--json", program(KERNEL), *NAMES).stdout)
    assert told["allocators"] == ["as described: --frame-functions"]
    assert (told["frames"]["allocated"], told["frames"]["held"], told["frames"]["freed_twice"]) == (3, 1, 0)


def test_since_leaves_out_what_was_allocated_before(ekernel: Ekernel, program: Program) -> None:
    told = ekernel("run", program(KERNEL), "--frame-functions", "take_page,give_page_in_a1(a1),address",
                   "--since", "serve", "--fail-on", "leaks")  # fmt: skip
    assert "3 allocated, 1 freed, 2 still held" in told.stderr
    assert "2 of them since instruction" in told.stderr
    assert "set_up" not in told.stderr
    assert told.returncode == 1
    assert ekernel("run", "-q", program(KERNEL), *NAMES, "--since", "1000", "--fail-on", "leaks").returncode == 0


@pytest.mark.parametrize("word", ["leaks", "unreachable"])
def test_a_run_that_never_came_to_since_has_not_passed(ekernel: Ekernel, program: Program, word: str) -> None:
    source = KERNEL.replace("    call serve\n", "")
    told = ekernel("run", "-q", program(source), *NAMES, "--since", "serve", "--fail-on", word)
    assert told.returncode == 1
    assert told.stderr == f"ekernel: --fail-on: {word} since serve, and that was never reached\n"


def test_a_second_free_names_the_first_and_fails_the_run(ekernel: Ekernel, program: Program) -> None:
    source = KERNEL.replace("call give_page\n", "call give_page\n    call give_page\n")
    result = ekernel("run", program(source), *NAMES, "--fail-on", "double-free")
    assert "freed twice: PPN:0x80302 at serve+0x20 (guest.s:" in result.stderr
    assert "; first at serve+0x18 (guest.s:" in result.stderr
    assert result.returncode == 1
    assert ekernel("run", "-q", program(KERNEL), *NAMES, "--fail-on", "double-free,overlap,bad-free").returncode == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--frame-functions", "take_pgae,give_page"), "no symbol 'take_pgae' in the image; did you mean take_page"),
        (("--heap-functions", "take*pag,give_page"), "no function matches 'take*pag'; did you mean take_page"),
        (("--frame-functions", "take_page,give_page"), "0x80300000, which is no page number, and RAM has 0x80000 to"),
        (("--frame-functions", "take_page,give_page"), "it looks like an address: say 'address'"),
        (("--frame-functions", "take_page"), "is not ALLOC[(count=WHERE)][=WHERE],FREE"),
        (("--heap-functions", "take_page(sise=a0),give_page"), "'sise=a0' in 'take_page(sise=a0)' is not understood"),
        (("--heap-functions", "take_page(size=t0),give_page"), "take_page returned a block of 2,149,5"),
        (("--frame-functions", "take_page=a9,give_page"), "'a9' is no place of a number"),
        (
            ("--fail-on", "leaks"),
            "--fail-on leaks: the image has none of the allocator functions that are known by name",
        ),
        (("--fail-on", "leak"), "--fail-on does not know 'leak': did you mean 'leaks'?"),
        (("--since", "serv", *NAMES), "no symbol 'serv' in the image; did you mean serve"),
        (("--allocator", "absent.toml"), "absent.toml cannot be read: No such file or directory"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_what_would(
    ekernel: Ekernel, program: Program, options: tuple[str, ...], said: str
) -> None:
    result = ekernel("run", program(KERNEL), *options)
    assert said in result.stderr
    assert result.returncode == 125


def test_a_description_of_the_users_own_is_followed(ekernel: Ekernel, program: Program, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'about = "my pages"\n[[frames]]\nfunction = "take_page"\ndoes = "allocate"\nunit = "address"\n'
        '[[frames]]\nfunction = ["give_page_in_a1"]\ndoes = "free"\nat = "a1"\nunit = "address"\n'
    )
    result = ekernel("run", program(KERNEL), "--allocator", "mine.toml", "--trace", "frames")
    assert "frame -  PPN:0x80300 at serve+" in result.stdout
    assert "allocs  as described: my pages\n" in result.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frames = 3", "'frames' is not a list of tables"),
        ('[[frames]]\ndoes = "allocate"', "lacks 'function'"),
        ('[[frames]]\nfunction = "take_page"\ndoes = "alloc"', "does is allocate, free, resize or give"),
        ('[[frames]]\nfunction = "take_page"\ndoes = "allocate"\nsise = "a0"', "has 'sise'; it takes align, array, at"),
        ('[[frames]]\nfunction = "take_page"\ndoes = "allocate"\nat = "b0"', "'at': 'b0' is no place of a number"),
        ('[[blocks]]\nfunction = "take_page"\ndoes = "free"', "no function allocates"),
        ("[[", "is not TOML"),
    ],
)
def test_a_description_with_a_mistake_is_refused_with_its_place(
    ekernel: Ekernel, program: Program, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "mine.toml").write_text(text)
    result = ekernel("run", "-q", program(KERNEL), "--allocator", "mine.toml")
    assert result.stderr.startswith("ekernel: mine.toml")
    assert said in result.stderr
    assert result.returncode == 125


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[frames]]\nfunction = "take_page"\ndoes = "allocate"\nunit = "address"\ncount = "[&nxet]"', "mean next"),
        (
            '[[blocks]]\nfunction = "take_page"\ndoes = "allocate"\nsize = "4096"\nkind = "a0 + sizeof(cache)"',
            "'a0 + sizeof(cache)': the image's debug information has no structure 'cache'",
        ),
        ('[[frames]]\nfunction = "take_page"\ndoes = "allocate"\n[[memory]]\nfunction = "setup"\nat = "a0"\nsize = "1"',
         "no symbol 'setup' in the image; did you mean set_up"),
        (f'{BLOCKS}[[free]]\nfirst = "[&lits]"\nnext = "[a0]"\nsize = "1"', "no symbol 'lits' in the image"),
    ],
)  # fmt: skip
def test_a_name_in_a_description_that_the_image_lacks_is_told_before_the_kernel_runs(
    ekernel: Ekernel, program: Program, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "mine.toml").write_text(text)
    result = ekernel("run", "-q", program(KERNEL), "--allocator", "mine.toml")
    assert said in result.stderr
    assert result.returncode == 125
    other = '[[free]]\nsymbol = "heap_of_another_build"\nfirst = "[&lits]"\nnext = "[a0]"\nsize = "1"\n'
    (tmp_path / "mine.toml").write_text(f"{BLOCKS}{other}")
    assert ekernel("run", "-q", program(KERNEL), "--allocator", "mine.toml").returncode == 0


def test_functions_with_known_names_and_another_meaning_accuse_nobody(ekernel: Ekernel, program: Program) -> None:
    source = KERNEL.replace("take_page", "frame_alloc").replace("give_page", "frame_dealloc")
    result = ekernel("run", program(source), "--trace", "frames")
    assert "held" not in result.stderr
    assert "allocs  not ekernel (" in result.stderr
    assert "it looks like an address" in result.stderr
    assert result.returncode == 0
