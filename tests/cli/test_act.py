"""`ekernel act`: programs that judge themselves, in one process, each on a machine as new."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from emu.cli import status_of
from emu.errors import EmuError
from emu.machine import MachineConfig
from emu.testing.program import program
from linker.commands import as_, ld
from tests.guests import HTIF_WORDS

END = "la t0, tohost\n sd t1, (t0)\n j .\n"
PROGRAMS = {
    "passes": "li t1, 1\n" + END,
    "fails": "li t1, 3 << 1 | 1\n" + END,
    "finisher": "li t0, 0x100000\n li t1, 0x5555\n sw t1, (t0)\n j .\n",
    "endless": "j .\n",
    # Memory and CSRs are as at power-on, whatever ran before.
    "leaves": "li t0, 0x80100000\n li t1, 1\n sd t1, (t0)\n csrw mscratch, t1\n" + END,
    "finds": "li t0, 0x80100000\n ld t1, (t0)\n csrr t2, mscratch\n or t1, t1, t2\n"
     "slli t1, t1, 1\n addi t1, t1, 1\n" + END,
    "signs": "la t0, begin_signature\n li t1, 0xabcd\n sw t1, 4(t0)\n li t1, 1\n" + END
    + ".balign 16\n.globl begin_signature, end_signature\nbegin_signature: .word 7, 0\nend_signature:\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs."""
    tmp_path = tmp_path_factory.mktemp("act")
    folder = tmp_path / "tests" / "deeper"
    folder.mkdir(parents=True)
    for name, source in PROGRAMS.items():
        text, obj = tmp_path / f"{name}.s", tmp_path / f"{name}.o"
        text.write_text(f".globl _start\n_start:\n{source}\n{HTIF_WORDS}")
        assert as_.main(["-o", str(obj), str(text)]) == 0
        words = ["-Ttext=0x80000000", "--section-start=.tohost=0x80001000", "-o", str(folder / f"{name}.elf"), str(obj)]
        assert ld.main(words) == 0
    (folder / "notes.txt").write_text("no program")
    return folder.parent


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_all_programs_of_a_folder_are_judged_and_summed_up(tests, capsys, fidelity):
    assert status_of(["act", str(tests), "--max-instructions", "20000", "--fidelity", fidelity]) == 1
    told = capsys.readouterr().out.splitlines()
    assert [line.split("/")[-1] for line in told[:-1]] == [
        "endless.elf: the guest reached the limit of instructions at 0x80000000 (_start)", "fails.elf: test 3 failed",
    ]  # fmt: skip
    assert told[-1].startswith("7 tests: 5 passed, 1 failed, 1 did not end (")


def test_named_programs_that_all_pass(tests, capsys):
    names = [str(tests / "deeper" / f"{name}.elf") for name in ("leaves", "finds", "passes")]
    assert status_of(["act", "-v", *names]) == 0
    told = capsys.readouterr().out
    assert told.count("PASSED") == 3
    assert "3 tests: 3 passed (" in told


def test_signatures_are_written_and_compared(tests, tmp_path, capsys):
    elf = Path(shutil.copy(tests / "deeper" / "signs.elf", tmp_path))
    reference = elf.with_suffix(".reference_output")
    for text, status, told in [
        ("00000007\n0000ABCD\n", 0, "1 test: 1 passed"),
        ("00000007\n0000abce\n", 1, "word 1 of the signature is 0000abcd, and 0000abce in signs.reference_output"),
        ("00000007\n", 1, "the signature has 2 words, and signs.reference_output has 1"),
    ]:
        reference.write_text(text)
        assert status_of(["act", str(elf), "--signatures", str(tmp_path / "out")]) == status
        assert told in capsys.readouterr().out
    assert (tmp_path / "out" / "signs.signature").read_text() == "00000007\n0000abcd\n"


def test_what_is_no_program_is_said_and_the_others_run(tests, tmp_path, capsys):
    (tmp_path / "broken.elf").write_bytes(b"\x7fELF and no more")
    assert status_of(["act", str(tmp_path / "broken.elf"), str(tests / "deeper" / "passes.elf")]) == 1
    told = capsys.readouterr().out
    assert "COULD NOT BE RUN" in told
    assert "2 tests: 1 passed, 1 could not be run (" in told
    (tmp_path / "empty").mkdir()
    assert status_of(["act", str(tmp_path / "empty")]) == 125
    assert "there is no ELF file in this folder" in capsys.readouterr().err
    assert status_of(["act", "nowhere"]) == 125
    assert "nowhere: there is no such file or folder" in capsys.readouterr().err


CONTRACT = """
#include "rvmodel_macros.h"
    .section .text.init
    .globl rvtest_entry_point
rvtest_entry_point:
    RVMODEL_BOOT
    RVMODEL_IO_INIT(t0, t1, t2)
    la sp, __stack_top
    sd sp, -8(sp)
#define CHECK(SET, CLEAR, BIT)   \\
    SET(t0, t1);                \\
    csrr a0, mip;               \\
    li a1, 1 << BIT;            \\
    and a0, a0, a1;             \\
    beqz a0, failed;            \\
    CLEAR(t0, t1);              \\
    csrr a0, mip;               \\
    and a0, a0, a1;             \\
    bnez a0, failed
    CHECK(RVMODEL_SET_MSW_INT, RVMODEL_CLR_MSW_INT, 3)
    CHECK(RVMODEL_SET_MEXT_INT, RVMODEL_CLR_MEXT_INT, 11)
    CHECK(RVMODEL_SET_SEXT_INT, RVMODEL_CLR_SEXT_INT, 9)
    CHECK(RVMODEL_SET_MEXT_INT, RVMODEL_CLR_MEXT_INT, 11)
    RVMODEL_SET_SSW_INT(t0, t1)
    li t0, RVMODEL_MTIME_ADDRESS        // mtimecmp is beyond mtime, then is reached
    ld t1, (t0)
    addi t1, t1, RVMODEL_TIMER_INT_SOON_DELAY
    li t0, RVMODEL_MTIMECMP_ADDRESS
    sd t1, (t0)
    csrr a0, mip
    andi a0, a0, 1 << 7
    bnez a0, failed
    li a1, RVMODEL_TIMER_INT_SOON_DELAY * RVMODEL_MAX_CYCLES_PER_TIMER_TICK / 2 + 10
1:  addi a1, a1, -1
    bnez a1, 1b
    csrr a0, mip
    andi a0, a0, 1 << 7
    beqz a0, failed
    la t0, faulted
    csrw mtvec, t0
    li t0, RVMODEL_ACCESS_FAULT_ADDRESS
    ld t0, (t0)
failed:
    RVMODEL_HALT_FAIL
    .balign 4
faulted:
    csrr t0, mcause
    li t1, 5
    bne t0, t1, failed
    la a3, text
    RVMODEL_IO_WRITE_STR(t0, t1, t2, a3)
    lbu a3, -1(a3)
    li t0, '!'
    bne a3, t0, failed
    j end
    .section .text.rvtest
end: RVMODEL_HALT_WITH
    .data
text: .asciz "all is well!"
    RVMODEL_DATA_SECTION
"""


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_the_configuration_folder_keeps_what_the_frameworks_macros_promise(oracle, tmp_path, capsys, fidelity):
    folder = Path(__file__).parents[2] / "docs" / "act"
    config = (folder / "test_config.yaml").read_text()
    assert all(
        (folder / name).exists() for name in re.findall(r"^(?:udb_config|linker_script): (.*)$", config, re.MULTILINE)
    )
    (tmp_path / "contract.S").write_text(CONTRACT)
    for end in "PASS", "FAIL":
        command = [oracle("riscv64-unknown-elf-gcc"), "-march=rv64gc", "-mabi=lp64d", "-nostdlib", "-static", "-I",
                   folder, "-T", folder / "link.ld", f"-DRVMODEL_HALT_WITH=RVMODEL_HALT_{end}",
                   "-o", tmp_path / f"{end}.elf", tmp_path / "contract.S"]  # fmt: skip
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert status_of(["act", str(tmp_path), "-v", "--fidelity", fidelity]) == 1
    told = capsys.readouterr().out
    assert "FAILED" in told
    assert "all is well!" in told
    assert "2 tests: 1 passed, 1 failed" in told


def test_what_the_configuration_says_of_the_machine_is_so():
    text = (Path(__file__).parents[2] / "docs" / "act" / "ekernel-rv64gc.yaml").read_text()
    told = dict(re.findall(r"^  (\w+):\s+(.*?)$(?=\n  \w|\n*\Z)", text, re.MULTILINE | re.DOTALL))
    machine = program("j .", MachineConfig(fidelity="exact", firmware="none"))
    csr = machine.hart.csr
    assert [str(csr[name]) for name in ("marchid", "mimpid", "mvendorid")] == [
        told[name] for name in ("ARCH_ID_VALUE", "IMP_ID_VALUE", "VENDOR_ID_BANK")
    ]
    letters = {chr(65 + bit) for bit in range(26) if csr["misa"] >> bit & 1}
    assert letters - {"S", "U"} == set(re.findall(r"name: (\w),", text))
    csr["mcountinhibit"] = 0xFFFF_FFFF
    writable = ["true" if csr["mcountinhibit"] >> bit & 1 else "false" for bit in range(32)]
    assert writable == re.findall(r"true|false", told["COUNTINHIBIT_EN"])
    for mode, parameter in (1, "PMP_TOR_SUPPORTED"), (2, "PMP_NA4_SUPPORTED"), (3, "PMP_NAPOT_SUPPORTED"):
        csr["pmpcfg0"] = mode << 3
        assert csr["pmpcfg0"] == mode << 3
        assert told[parameter] == "true"
    csr["pmpcfg0"], csr["pmpaddr0"] = 0, (1 << 64) - 1  # the manual's way to find the granularity
    grain = (csr["pmpaddr0"] & -csr["pmpaddr0"]).bit_length() - 1
    assert int(told["PMP_GRANULARITY"]) == grain + 2
    last = int(told["NUM_USABLE_PMP_ENTRIES"]) - 1
    assert last == int(told["NUM_PMP_ENTRIES"]) - 1
    csr[f"pmpaddr{last}"] = 1
    assert csr[f"pmpaddr{last}"] == 1
    with pytest.raises(EmuError):
        _ = csr[f"pmpaddr{last + 1}"]
    csr["mtvec"] = 0x8000_0001
    csr["mtvec"] = 0x8000_0102
    assert csr["mtvec"] == 0x8000_0001
    assert told["MTVEC_ILLEGAL_WRITE_BEHAVIOR"] == "retain"
