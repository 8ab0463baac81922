"""`ekernel act`: programs that judge themselves, in one process, each on a machine as new."""

import shutil
from pathlib import Path

import pytest

from emu.cli import status_of
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
