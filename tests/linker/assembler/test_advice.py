"""What is said to somebody who writes another machine's assembly, or mistypes a word."""

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linker.assembler import AssemblerOptions, assemble
from linker.assembler.advice import distance, nearest
from linker.assembler.encoding.csrs import CSRS
from linker.assembler.isa import InstructionSet
from linker.errors import AssemblyError


def said(source, **options):
    with pytest.raises(AssemblyError) as caught:
        assemble(source, name="x.s", options=AssemblerOptions(**options))
    (found,) = caught.value.diagnostics
    return str(found)


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("cmp a0, a1", "compare and branch at once"),
        ("push ra", "'addi sp, sp, -16'"),
        ("subi a0, a0, 4", "with a negative constant it subtracts"),
        ("b loop", "a jump is 'j label'"),
        ("bl printf", "a call is 'call symbol'"),
        ("MOV a0, a1", "'mv rd, rs' copies a register"),
        ("str a0, [sp]", "written with 'sd sw sh sb'"),
        ("svc 0", "'ecall'"),
        ("iretq", "'mret' or 'sret'"),
        ("jne done", "a branch compares two registers"),
        ("mv $t0, a1", "in small letters: 't0'"),
        ("li A0, 5", "in small letters: 'a0'"),
        ("add r4, a0, a1", "'x4'"),
        ("add a0, a1, a8", "the last of these is 'a7'"),
        ("sd lr, 0(sp)", "the return address is in 'ra'"),
        ("ld a0, 8(rsp)", "the stack pointer is 'sp'"),
        ("csrr a0, mstaus", "did you mean 'mstatus'?"),
        ("csrr a0, SATP", "in small letters: 'satp'"),
        ("csrw a0, satp", "'csrw csr, rs' writes"),
        ("csrw cr3, a0", "did you mean 'satp'?"),
        ("call far print", "'call symbol' is all"),
        ("ret 16", "the result is in 'a0'"),
        ("nop 4", "'.rept"),
        ("ld t0, [sp]", "'offset(register)'"),
        ("sw 4(a0), a1", "the register comes first"),
        ("mv a0, 5", "'li rd, constant'"),
        ("mv a0, table", "'la rd, symbol'"),
        ("mul a0, a1, 10", "loaded with 'li' into a register first"),
        ("sub sp, sp, 16", "with a negative constant it subtracts"),
        ("bge a0, loop", "'bgez rs, label'"),
        ("beq a0, a1", "expected 'beq rs1, rs2, label'"),
        ("jr loop", "'j symbol'"),
        ("jalr table", "'call symbol'"),
        ("fadd.d fa0, fa1, a0", "'fmv.d.x' copies bits"),
        ("add a0, fa0, a1", "'fmv.x.d' copies its bits"),
        ("csrr satp, a0", "read with 'csrr rd, csr'"),
        ("csrr a0, mtimecmp", "memory of the CLINT"),
        ("sti", "'csrsi sstatus, 2'"),
        ("sc a0, a1, (a2)", "'lr.w' with 'sc.w'"),
        ("inb a0, 0x60", "devices are memory here"),
        ("clr a0", "'li rd, 0'"),
        ("adid a0, a0, 1", "did you mean 'addi'?"),
        (".globel x", "did you mean '.globl'?"),
    ],
)
def test_a_word_of_another_machine_gets_what_risc_v_has_instead(source, advice):
    assert advice in said(source)


@pytest.mark.parametrize("source", ["frobnicate a0", ".frobnicate", "csrr a0, frobnicate", "add a0, a1, frobnicate"])
def test_nothing_is_suggested_for_what_is_like_nothing(source):
    assert "did you mean" not in said(source)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(CSRS)), data=st.data())
def test_one_typing_mistake_in_a_long_name_finds_it_or_one_as_near(name, data):
    at = data.draw(st.integers(0, len(name) - 1))
    mistyped = name[:at] + name[at + 1 :]
    found = nearest(mistyped, CSRS)
    assert found is not None
    assert distance(mistyped, found) <= 1


RATIFIED = """
    a b c d f h m q v za128rs za64rs zaamo zabha zacas zalasr zalrsc zama16b zawrs zba zbb zbc zbkb zbkc zbkx zbs
    zca zcb zcd zce zclsd zcmop zcmp zcmt zdinx zfa zfbfmin zfh zfhmin zfinx zhinx zhinxmin zic64b zicbom zicbop
    zicboz ziccamoa ziccamoc ziccid ziccif zicclsm ziccrse zicfilp zicfiss zicntr zicond zicsr zifencei zihintntl
    zihintpause zihpm zilsd zimop zk zkn zknd zkne zknh zkr zks zksed zksh zkt zmmul ztso zvbb zvbc zve32f zve32x
    zve64d zve64f zve64x zvfbfmin zvfbfwma zvfh zvfhmin zvkb zvkg zvkn zvknc zvkned zvkng zvknha zvknhb zvks zvksc
    zvksed zvksg zvksh zvkt zvl128b
    """.split()  # noqa: SIM905  as a list it would fill the page
"""The extensions of RV64 that the unprivileged manual's preface names."""


def test_march_takes_every_extension_that_the_manual_names():
    for name in RATIFIED:
        march = f"rv64i{name}" if len(name) == 1 else f"rv64i_{name}"
        assemble("nop", name="x.s", options=AssemblerOptions(march=march))


@pytest.mark.parametrize(
    ("march", "source", "extension"),
    [
        ("rv64gcv", "vadd.vv v1, v2, v3", "v"),
        ("rv64gc_zba", "sh2add a0, a1, a2", "zba"),
        ("rv64gc", "sh2add a0, a1, a2", "zba"),
        ("rv64gc_zfh", "fadd.h fa0, fa1, fa2", "zfh"),
        ("rv64gc_zicond", "czero.eqz a0, a1, a2", "zicond"),
        ("rv64gc_zvl256b", "vsetvli a0, a1, e8", "v"),
        ("rv64gc_zicboz_zicbom", "cbo.zero (a0)", "zicboz"),
        ("rv64gcq", "fadd.q fa0, fa1, fa2", "q"),
    ],
)
def test_an_instruction_of_a_ratified_extension_without_rows_is_an_error_that_names_it(march, source, extension):
    assemble("nop", name="x.s", options=AssemblerOptions(march=march))
    message = said("nop\n" + source, march=march)
    assert message.startswith("x.s:2:1: error: ")
    assert f"belongs to extension {extension!r}" in message


def test_an_extension_that_is_none_is_refused_with_the_nearest():
    assert "'zbq' is not among the ratified ones" in said("nop", march="rv64gc_zbq")
    assert "did you mean 'zicbom'?" in said("nop", march="rv64gc_zicbon")


@pytest.mark.parametrize(
    "isa", ["rv64gcv", "rv64imac_zba_zbb_zbs_zicbom", "rv64gch_smaia_sstc_svinval_zkt", "rv64gcq_zk"]
)
def test_the_attribute_names_extensions_as_gnu_does(oracle, tmp_path, isa):
    source, output = tmp_path / "a.s", tmp_path / "a.o"
    source.write_text("nop\n")
    subprocess.run([oracle("riscv64-unknown-elf-as"), f"-march={isa}", "-o", str(output), str(source)], check=True)
    command = [oracle("riscv64-unknown-elf-readelf"), "-A", str(output)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r'Tag_RISCV_arch: "(.*)"', text)
    assert found is not None
    assert InstructionSet.parse(isa).attribute == found[1]
