"""`ekernel pagetable` as a user types it, and beside QEMU's `info mem`."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ekernel

Program = Callable[[str], Path]
SOURCE = """
    la s0, root
    li t1, 0x80000 << 10 | 0xcf
    sd t1, 16(s0)                   # a gigapage: this code, too
    li t1, 0x80000 << 10 | 0xe7
    li t2, 0xff0
    add t2, t2, s0
    sd t1, 0(t2)                    # and in the upper half
    la s1, middle
    srli t1, s1, 2
    ori t1, t1, 1
    sd t1, 0(s0)
    li t1, 0x80200 << 10 | 0x53
    sd t1, 24(s1)                   # a megapage at 0x600000
    la s2, last
    srli t1, s2, 2
    ori t1, t1, 1
    sd t1, 0(s1)
    li t1, 0x80300 << 10 | 0xd7
    sd t1, 8(s2)
    li t1, 0x80301 << 10 | 0xd7
    sd t1, 16(s2)
    li t1, 0x80305 << 10 | 0xcb
    sd t1, 24(s2)
    srli t1, s0, 12
    li t0, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
paged:
    nop
    li t1, 0x80306 << 10 | 0xcf
    sd t1, 32(s2)
done:
    j done
    .bss
    .balign 4096
root: .zero 4096
middle: .zero 4096
last: .zero 4096
"""


def test_qemus_table_is_the_flat_view(ekernel: Ekernel, program: Program, oracle: Callable[[str], str]) -> None:
    elf = program(SOURCE)
    raw = elf.with_suffix(".bin")  # QEMU enters what lies first, and in the ELF that is its headers
    assert ekernel("objcopy", "-O", "binary", "-j", ".text", elf, raw).returncode == 0
    command = [oracle("qemu-system-riscv64"), "-machine", "virt", "-bios", "default", "-kernel", str(raw)]
    command += ["-display", "none", "-serial", "null", "-qmp", "stdio"]
    ask = {"execute": "human-monitor-command", "arguments": {"command-line": "info mem"}}
    table: list[tuple[int, int, int, str]] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as qemu:
        assert qemu.stdin is not None
        assert qemu.stdout is not None
        qemu.stdin.write('{"execute": "qmp_capabilities"}')
        for _ in range(50_000):  # until the guest has come so far
            if any(first == 0x4000 for first, *_ in table):
                break
            qemu.stdin.write(json.dumps(ask))
            qemu.stdin.flush()
            shown = json.loads(qemu.stdout.readline()).get("return", "")
            rows = re.finditer(r"^([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{16}) (\S{7})", str(shown), re.MULTILINE)
            table = [(int(row[1], 16), int(row[2], 16), int(row[3], 16), row[4]) for row in rows]
        qemu.kill()
    flat = ekernel("pagetable", elf, "-at", "done", "-format", "flat").stdout
    ours = [
        (int(row[1], 16), int(row[3], 16), int(row[2], 16) - int(row[1], 16) + 1, row[4])
        for row in re.finditer(r"^(0x\w+)\.\.(0x\w+) (0x\w+) +\d+ \w+ (\S{8})", flat, re.MULTILINE)
    ]
    order = "RWXUGAD"
    as_qemu = [
        (first, physical, size, "".join(letter.lower() if letter in flags else "-" for letter in order))
        for first, physical, size, flags in ours
    ]
    assert as_qemu == table
    assert len(table) == 6


def test_vmprint_is_what_xv6s_own_function_prints(
    ekernel: Ekernel, oracle: Callable[[str], str], tmp_path: Path
) -> None:
    source, elf = Path(__file__).with_name("vmprint.c"), tmp_path / "xv6.elf"
    command = [oracle("riscv64-unknown-elf-gcc"), "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-O1", "-g"]
    command += ["-ffreestanding", "-nostdlib", "-static", "-Wl,-Ttext=0x80200000,-e,_start,--no-warn-rwx-segments"]
    subprocess.run([*command, "-o", elf, source], check=True)
    printed = ekernel("run", elf, "-q").stdout
    shown = ekernel("pagetable", elf, "-at", "done", "-format", "vmprint").stdout.splitlines()
    assert shown[1:] == printed.splitlines()
    assert len(shown) == 1 + 1 + 2 + 4 + 2 + 2 + 4  # two lines in front, then each table below its entry


def test_a_walk_a_search_and_filters_answer_what_was_asked(ekernel: Ekernel, program: Program) -> None:
    elf = program(SOURCE)
    walk = ekernel("pagetable", elf, "-at", "paged", "-walk", "0x2345").stdout
    assert [line.split(":")[0] for line in walk.splitlines()[1:]] == ["level 2", "level 1", "level 0"]
    assert walk.endswith("maps 0x2345 to 0x80301345\n")
    assert "is not valid: 0x9000 is not mapped" in ekernel("pagetable", elf, "-at", "paged", "-walk", "0x9000").stdout
    found = ekernel("pagetable", elf, "-at", "paged", "-find", "0x80301010").stdout
    assert re.findall(r"is mapped at (\w+)", found) == ["0x2010", "0x701010", "0x80301010", "0xffffffff80301010"]
    executable = ekernel(
        "pagetable", elf, "-at", "paged", "-filter", "xs", "-format", "flat", "-range", "0-0xffffffff"
    ).stdout
    assert re.findall(r"^(0x\w+)\.\.", executable, re.MULTILINE) == ["0x0000000000003000", "0x0000000080000000"]


def test_a_filter_shows_the_tables_of_what_it_finds_alone(ekernel: Ekernel, program: Program) -> None:
    options = ["pagetable", program(SOURCE), "-at", "paged"]
    everything = ekernel(*options).stdout
    found = ekernel(*options, "-filter", "xs", "-range", "0-0xffffffff").stdout
    assert 0 < found.count(" table at ") <= everything.count(" table at ")
    for form in ("tree", "flat"):
        nothing = ekernel(*options, "-filter", "wu", "-range", "0x70000000-0x7fffffff", "-format", form).stdout
        assert "no page there is w, u\n" in nothing
        assert nothing.count(" table at ") == (form == "tree")  # the root


def test_two_moments_are_compared_and_writers_named(ekernel: Ekernel, program: Program) -> None:
    elf = program(SOURCE)
    assert (
        ekernel("pagetable", elf, "-at", "paged", "-diff", "done").stdout == "+ 0x4000..0x4fff -> 0x80306000 DA__XWRV\n"
    )
    who = ekernel("pagetable", elf, "-at", "done", "-who").stdout
    assert re.search(
        r"^0x4000: PTE at \w+ written by `sd t1, .*` at paged\+\w+ \(guest.s:\d+\) after \d+ instructions$",
        who,
        re.MULTILINE,
    )
    assert re.search(
        r"^0x1000: PTE at \w+ written by `sd .*` at \w+", who, re.MULTILINE
    )  # long before its table was in use
    assert "0x1000: PTE" not in ekernel("pagetable", elf, "-at", "done", "-who", "-range", "0x4000-0x4fff").stdout


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_a_run_names_the_instruction_that_breaks_an_invariant(
    ekernel: Ekernel, program: Program, fidelity: str
) -> None:
    elf = program(SOURCE.replace("    j done\n", "    li a7, 8\n    ecall\n"))
    options = [
        "run",
        elf,
        "-q",
        "--fidelity",
        fidelity,
        "--invariant",
        "no page is writable and executable,mapped-once",
    ]
    told = ekernel(*options)
    assert told.returncode == 0
    line = (
        r"ekernel: no-writable-code: it is writable and executable: 0x[0-9a-f]+, level 2 for 0x80000000, "
        r"comes into use as \(.*\) by `csrw satp, t0` at \S+ \(guest\.s:\d+\) after \d+ instructions\n"
        r"ekernel: no-writable-code: it is writable and executable: 0x[0-9a-f]+, level 0 for 0x4000, became \(.*\) by "
        r"`sd t1, 0x20\(s2\)` at paged\+0x[0-9a-f]+ \(guest\.s:\d+\) after \d+ instructions\n"
    )
    assert re.fullmatch(line, told.stderr)
    failed = ekernel(*options, "--fail-on", "invariants")
    assert failed.returncode == 1
    assert "ekernel: --fail-on: 2 writes of page-table entries break no-writable-code, mapped-once\n" in failed.stderr
    if fidelity == "fast":
        found = json.loads(ekernel(*options, "--json").stdout)["invariants"]
        assert [(one["invariant"], one["first"]) for one in found] == [
            ("no-writable-code", "0x80000000"), ("no-writable-code", "0x4000"),
        ]  # fmt: skip
        assert ekernel("run", elf, "-q", "--invariant", "user-in-kernel", "--fail-on", "invariants").returncode == 0
        assert "did you mean 'wx'" in ekernel("run", elf, "--invariant", "xw").stderr
        assert "Name them with --invariant" in ekernel("run", elf, "--fail-on", "invariants").stderr


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_invariants_on_the_command_line_make_the_status(ekernel: Ekernel, program: Program, fidelity: str) -> None:
    elf = program(SOURCE)
    options = ["pagetable", elf, "-at", "done", "--fidelity", fidelity, "-check"]
    broken = ekernel(*options, "no-writable-code,mapped-once")
    assert broken.returncode == 1
    last = broken.stdout.splitlines()[-2]
    assert re.match(r"no-writable-code: it is writable and executable: .* at paged\+\w+ \(guest.s:\d+\)", last)
    assert ekernel(*options, "no-user-in-kernel").returncode == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-format", "list"], "there are tree, flat, ptdump, vmprint"),
        (["-filter", "q"], "'q' is none of the letters r w x u g a d s"),
        (["-range", "5"], "give two addresses"),
        (["-walk", "here"], "give a number"),
        (["-at", "nowhere"], "no symbol 'nowhere'"),
        (["-check", "all"], "there is no invariant 'all'"),
        (["-format", "vmprint", "-filter", "x"], "shows everything"),
    ],
)
def test_a_mistake_is_one_message(ekernel: Ekernel, program: Program, options: list[str], said: str) -> None:
    result = ekernel("pagetable", program(SOURCE), *(["-at", "done"] if "-at" not in options else []), *options)
    assert result.returncode == 125
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_page_faults_are_told_by_what_they_were_for(ekernel: Ekernel) -> None:
    told = ekernel("pagetable", "--profile", "full", "-faults").stdout
    assert re.search(r"^\d+ by demand: [\d,]+ instructions, ", told, re.MULTILINE)
    assert re.search(r"^    \d+ resolved at map_leaf\+\w+ \(page_table.S:\d+\)$", told, re.MULTILINE)
    assert re.search(r"^\d+ by (protection|bug)", told, re.MULTILINE)


@pytest.mark.parametrize("command", [["pagetable"], ["heap", "--frame-functions", "take,give"], ["coverage"]])
def test_a_guest_that_traps_for_ever_is_looked_at_as_it_is(
    ekernel: Ekernel, program: Program, command: list[str]
) -> None:
    guest = "la t0, again\n csrw stvec, t0\n unimp\ntake: ret\ngive: ret\n .balign 4\nagain: nop\n sret"
    result = ekernel(*command, str(program(guest)))
    assert "illegal instruction" in result.stderr
    assert "for ever" in result.stderr
    assert result.returncode == 0, result.stderr


def test_a_moment_that_never_comes_ends_with_the_time(ekernel: Ekernel, program: Program) -> None:
    result = ekernel("pagetable", str(program("nop\n1: j 1b\nnever: nop")), "--timeout", "0.1", "-at", "never")
    assert result.returncode == 125
    assert "stopped after 0.1 s; --timeout gives more" in result.stderr
    assert "never was not reached" in result.stderr
