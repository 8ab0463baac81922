"""The names of instructions that this core lacks, beside GNU's assembler and disassembler."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.isa.absent import absent_csr, absent_instruction

MARCH = (
    "rv64gcv_h_zba_zbb_zbc_zbs_zbkb_zbkx_zknd_zkne_zknh_zksed_zksh_zicbom_zicboz_zawrs_zfh_svinval"  # what 2.40 knows
)
SAMPLES = {
    "Zba": "sh1add a0,a1,a2; sh3add.uw t6,zero,s0; add.uw a0,a0,a0; slli.uw a0,a1,63",
    "Zbb": "andn a0,a1,a2; orn t0,t1,t2; max a0,a1,a2; minu s1,s2,s3; clz a0,a1; cpopw t3,t4; sext.b a0,a1; "
    "zext.h a0,a1; rori a0,a1,63; roriw a0,a1,31; orc.b a0,a1; rev8 a0,a1; rolw a0,a1,a2",
    "Zbc": "clmul a0,a1,a2; clmulr t0,t1,t2",
    "Zbs": "bset a0,a1,a2; bexti a0,a1,63; binvi t0,t1,5; bclr a0,a1,a2",
    "Zbkb": "pack a0,a1,a2; packh t0,t1,t2; packw a0,a1,a2; brev8 a0,a1",
    "Zbkx": "xperm4 a0,a1,a2; xperm8 a0,a1,a2",
    "Zkne": "aes64es a0,a1,a2; aes64esm a0,a1,a2",
    "Zknd": "aes64ds a0,a1,a2; aes64im a0,a1",
    "Zknh": "sha256sig0 a0,a1; sha512sum1 a0,a1",
    "Zksed": "sm4ed a0,a1,a2,3; sm4ks a0,a1,a2,0",
    "Zksh": "sm3p0 a0,a1; sm3p1 a0,a1",
    "Zicbom": "cbo.clean (a0); cbo.inval (t6)",
    "Zicboz": "cbo.zero (a1)",
    "Zawrs": "wrs.nto; wrs.sto",
    "H": "hfence.vvma a0,a1; hlv.w a0,(a1); hlvx.hu a0,(a1); hsv.d a0,(a1)",
    "Svinval": "sinval.vma a0,a1; sfence.w.inval; sfence.inval.ir",
    "Zfh": "flh fa0,2(a0); fsh fa0,-2(a0)",
}
FAMILIES = {
    "V": "vsetvli a0,a1,e8,m1,ta,ma; vadd.vv v1,v2,v3; vle8.v v1,(a0); vse64.v v1,(a0)",
    "Zfh": "fadd.h fa0,fa1,fa2; fmadd.h fa0,fa1,fa2,fa3",
}
PRESENT = """add a0,a1,a2; sub a0,a1,a2; slli a0,a1,63; srai a0,a1,5; sraiw a0,a1,5; mul a0,a1,a2; divuw a0,a1,a2
    fence; fence.i; csrr a0,sstatus; ecall; mret; sfence.vma a0,a1; amoadd.d a0,a1,(a2)
    lr.w a0,(a1); sc.d a0,a1,(a2); fld fa0,0(a0)
    fsw fa0,0(a0); fadd.s fa0,fa1,fa2; fmadd.d fa0,fa1,fa2,fa3; fcvt.l.d a0,fa0; fmv.x.d a0,fa0
    fclass.s a0,fa0
    c.lui a0,5; c.addw a0,a1; c.ld a0,8(a1)"""


def encode(oracle: Callable[[str], str], folder: Path, lines: str) -> list[tuple[int, str]]:
    """Each instruction of a text with the name that GNU's disassembler has for it."""
    source = re.sub(r"\s*;\s*|\n", "\n", lines) + "\n"
    out = folder / "o.o"
    subprocess.run(
        [oracle("riscv64-unknown-elf-as"), f"-march={MARCH}", "-o", out], input=source, text=True, check=True
    )
    dump = [oracle("riscv64-unknown-elf-objdump"), "-d", "-M", "no-aliases", str(out)]
    shown = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    return [
        (int(row[1], 16), row[2])
        for row in re.finditer(r"^\s+[0-9a-f]+:\s+([0-9a-f]{4,8})\s+(\S+)", shown, re.MULTILINE)
    ]


@pytest.mark.parametrize("extension", SAMPLES)
def test_an_instruction_of_an_extension_has_gnus_name(
    oracle: Callable[[str], str], tmp_path: Path, extension: str
) -> None:
    for bits, name in encode(oracle, tmp_path, SAMPLES[extension]):
        assert absent_instruction(bits) == (name, extension), hex(bits)


@pytest.mark.parametrize("extension", FAMILIES)
def test_an_extension_is_known_by_its_opcodes(oracle: Callable[[str], str], tmp_path: Path, extension: str) -> None:
    for bits, name in encode(oracle, tmp_path, FAMILIES[extension]):
        found = absent_instruction(bits)
        assert found is not None, name
        assert found[1] == extension, name


def test_what_this_core_has_is_not_called_absent(oracle: Callable[[str], str], tmp_path: Path) -> None:
    encoded = encode(oracle, tmp_path, PRESENT)
    assert len(encoded) > 20
    for bits, name in encoded:
        assert absent_instruction(bits) is None, name


def test_csrs_of_extensions_have_names() -> None:
    assert absent_csr(0xC22) == ("vlenb", "V")
    assert absent_csr(0x600) == ("hstatus", "H")
    assert absent_csr(0x300) is None
