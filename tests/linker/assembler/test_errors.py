import pytest

from linker.assembler import AssemblerOptions, assemble, assemble_file
from linker.errors import AssemblyError


def errors_of(source, **options):
    with pytest.raises(AssemblyError) as caught:
        assemble(source, name="bad.s", options=AssemblerOptions(**options))
    return caught.value.diagnostics


def one_error(source):
    (diagnostic,) = errors_of(source)
    return str(diagnostic)


def test_a_typo_in_a_mnemonic_suggests_the_nearest():
    assert one_error("    adi a0, a0, 1") == (
        "bad.s:1:5: error: no such instruction: 'adi'\n    1 |     adi a0, a0, 1\n      |     ^ did you mean 'addi'?"
    )


def test_a_typo_in_a_directive_or_macro_suggests_the_nearest():
    assert "did you mean '.globl'?" in one_error(".glbl x")
    assert "did you mean 'save_all'?" in one_error(".macro save_all\n.endm\nsave_al")


def test_all_errors_of_a_file_are_reported_in_one_go():
    found = errors_of("nop\nfoo\nli a0, undefined_name\nlw a0, 4096(a1)\n.byte 1 +\n.globl\nnop")
    assert [d.location.line for d in found] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("ld a5, 5", 8),
        ("lw s2, 2", 8),
        ("x5: lw t0, 5", 12),
        ("/* load it */ lw a0, 16", 22),
        ("\tli\ta1, a1+b", 9),
        ("nop; csrr t0, t; nop", 15),
    ],
)
def test_the_column_is_that_of_the_operand_at_fault(source, column):
    (found,) = errors_of(source)
    assert found.location.column == column


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("addi a0, a0, 4096", "operand 3 of 'addi' does not fit: '4096'", "a number -2048..2047"),
        ("add a0, a0, q7", "operand 3 of 'add' does not fit: 'q7'", "an integer register"),
        ("fadd.s fa0, fa1, a0", "does not fit: 'a0'", "a floating-point register"),
        ("c.addi4spn s2, sp, 4", "does not fit: 's2'", "one of x8..x15"),
        ("c.lw a0, 3(a1)", "does not fit: '3(a1)'", "a multiple of 4"),
        ("fence rw, q", "does not fit: 'q'", "some of i, o, r, w in that order"),
        ("csrr a0, mstatsu", "does not fit: 'mstatsu'", "a CSR, by name or number 0..4095"),
        ("addi a0, a0", "'addi' does not take 2 operands", "addi rd, rs1, imm12"),
        ("sw a0, x", "does not take 2 operands", "sw rs, symbol, rt"),
        ("lw a0, 4", "cannot reach the fixed address '4'", "load a fixed address with 'li' first"),
        ("li a0, somewhere", "the value of 'somewhere' is not known here", "for an address use 'la'"),
        ("vadd.vv v0, v1, v2", "belongs to extension 'v'", ""),
        ("sinval.vma a0, a1", "belongs to extension 'svinval'", ".option arch, +svinval"),
        (".byte 1 / 0", "division by zero", ""),
        (".word 08", "not an octal number", ""),
        ("j 1f", "there is no label '1:' after this line", ""),
        ("j 1b", "there is no label '1:' before this line", ""),
        ("x: nop\nx: nop", "symbol 'x' is already defined in line 1", ""),
        (".if 1\nnop", "this conditional has no '.endif'", ""),
        (".macro m\nnop", "'.macro' has no '.endm'", ""),
        (".rept 2\nnop", "'.rept' has no '.endr'", ""),
        ("nop /* and so on", "this comment has no '*/'", ""),
        (".endif", "'.endif' without '.if' before it", ""),
        (".if 1\n.else\n.else\n.endif", "'.else' after '.else'", ""),
        ('.include "nowhere.inc"', "cannot find 'nowhere.inc'", "-I directories"),
        ('.error "not for this machine"', "not for this machine", ""),
        (".balign 3", "alignment 3 is not a power of two", ""),
        (".data\n.byte x", "an address does not fit in 1 byte", "'.word' or '.dword'"),
        (".data\n.word x + y", "data can refer to a symbol or to the difference of two", "x + y"),
        (".bss\n.word 1", "holds no data, only space", ""),
        ("nop\n.attribute arch, \"rv64gc\"", "attribute 'arch' comes behind instructions", "first instruction"),
        ("la.tls.ie a0, x\n.data\nx: .word 1", "'x' is not thread-local: it is in section '.data'", "'.tdata'"),
        ("la.tls.gd a0, x\n.comm x, 8", "'x' is not thread-local: it is in a common block", "'.tdata'"),
        (".dtprelword 5", "a number is not thread-local", ""),
        (".cfi_startproc\n.cfi_offset ra, -6\n.cfi_endproc", "a multiple of 4 bytes from the CFA, not at -6", ""),
        (".data\n.byte 1\n.balignw 4, 2", "3 bytes of padding are not filled by a value of 2 bytes", "'.balign'"),
        (".section .x, \"a\", @progbits, junk", "unexpected 'junk' behind the section", ""),
        (".globl a b", "'a b' is not a symbol name", ""),
        ("j x@plt\nx:", "unexpected '@plt'", ""),
        (".insn i 0x7f, 7, a0, a0, 0", "no instruction has these bits", ""),
        (".org 8\n.org 4", "'.org' goes back from 0x8 to 0x4", "only go forward"),
        ("x = y\ny = x\n.word x", "refers to itself", ""),
        (".data\n.skip b - a\na: .skip b - a + 1\nb:", "the size of this depends on itself", ""),
        (".section .x, \"aq\"", "unknown section flag 'q'", "known flags"),
        (".option foo", "unknown option 'foo'", "rvc, norvc"),
        (".macro m a:req\n.endm\nm", "macro 'm' needs a value for 'a'", ""),
        (".macro m a\n.endm\nm 1, 2", "takes at most 1 argument", ""),
        (".macro m\nm\n.endm\nm", "nested more than 100 deep", ""),
        (".skip 1 << 40", "more than a section may have", ""),
        (".rept 1 << 30\nnop\n.endr", "produce more than", ""),
    ],
)  # fmt: skip
def test_an_error_says_what_is_wrong_and_what_was_expected(source, message, hint):
    text = "\n".join(str(d) for d in errors_of(source))
    assert message in text
    assert hint in text


def test_an_error_in_a_macro_also_shows_the_call():
    (found,) = errors_of(".macro twice r\nadd \\r, \\r\n.endm\nnop\n    twice a0")
    assert (found.location.line, found.location.text) == (2, "add a0, a0")
    (note,) = found.notes
    assert (note.location.line, note.location.text) == (5, "    twice a0")
    assert "in macro 'twice', called here" in str(found)


def test_an_error_in_an_included_file_names_both_files(tmp_path):
    (tmp_path / "inner.inc").write_text("nop\nfoo\n")
    outer = tmp_path / "outer.s"
    outer.write_text('.include "inner.inc"\n')
    with pytest.raises(AssemblyError) as caught:
        assemble_file(outer)
    (found,) = caught.value.diagnostics
    assert (found.location.file, found.location.line) == (str(tmp_path / "inner.inc"), 2)
    assert found.notes[0].location.file == str(outer)


def test_line_markers_of_a_preprocessor_give_the_place():
    (found,) = errors_of('# 100 "original.S"\nnop\nfoo\n')
    assert (found.location.file, found.location.line) == ("original.S", 101)


def test_an_error_of_the_preprocessor_is_reported(tmp_path):
    path = tmp_path / "bad.S"
    path.write_text('nop\n#include "nowhere.h"\n')
    with pytest.raises(AssemblyError, match=r"nowhere\.h"):
        assemble_file(path)


def test_a_missing_source_is_one_clear_error(tmp_path):
    with pytest.raises(AssemblyError, match="cannot read the source: No such file"):
        assemble_file(tmp_path / "nowhere.s")


def test_an_unknown_architecture_is_one_clear_error():
    (found,) = errors_of("nop", march="rv32i")
    assert "expected 'rv64' with extensions" in str(found)


def test_a_value_that_does_not_fit_is_cut_with_a_warning():
    warnings = []
    obj = assemble(".data\n.byte 256 + 7", name="bad.s", on_warning=warnings.append)
    assert bytes(obj.section(".data").data) == b"\x07"
    assert "value 0x107 truncated to 0x7" in str(warnings[0])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (".cfi_def_cfa_offset 16", "belongs between '.cfi_startproc' and '.cfi_endproc'"),
        (".cfi_startproc\n.cfi_startproc\n.cfi_endproc", "the procedure before has no '.cfi_endproc'"),
        (".cfi_startproc\nnop", "this procedure has no '.cfi_endproc'"),
        (".cfi_startproc\n.cfi_restore_state\n.cfi_endproc", "without '.cfi_remember_state' before it"),
        (".cfi_startproc\n.cfi_offset q0, -8\n.cfi_endproc", "the value of 'q0' is not known here"),
        (".cfi_sections .bss", "'.bss' is not a section for unwind tables"),
        (".cfi_startproc\n.cfi_lsda 0x70, x\n.cfi_endproc", "not an encoding of pointers"),
        ('.section odd, "a", @4294967296', "unknown type '4294967296' of section 'odd'"),
        ('.file 123456 "a.c"', "file number 123456 is too large"),
        (".struct 0\nnop", "instruction 'nop' stands in the absolute section"),
        (".struct 0\n.word 7", "holds no data, only offsets"),
        (".reloc 0, R_RISCV_HI2, x", "did you mean 'R_RISCV_HI20'?"),
        (".data\n.reloc 8, R_RISCV_32, x", "outside section '.data'"),
        (".bss\n.skip nowhere", "the count is not a constant"),
        (".dcb.b x, 1", "the value of 'x' is not known here"),
    ],
)
def test_a_mistake_in_a_table_or_a_structure_says_what_it_is(source, message):
    assert message in "\n".join(str(found) for found in errors_of(source))


def test_data_in_a_section_without_data_is_reported_where_it_stands():
    (error,) = errors_of(".bss\n.skip 8\n.byte 0, 3\n.skip 8\n.text\nnop\nnop\n")
    assert (error.location.line, error.message) == (3, "section '.bss' holds no data, only space")


def test_of_a_line_without_end_is_shown_what_stands_around_the_mistake():
    (error,) = errors_of(".byte " + "1, " * 40_000 + "oops oops, " + "2, " * 40_000 + "3")
    shown = str(error).split("\n")
    assert max(map(len, shown)) < 400
    begin = shown[2].index("^")
    assert shown[1][begin:].startswith("oops")


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000], ids=["superscript", "very long"])
@pytest.mark.parametrize(
    "statement", [".loc {} 1", '.file 1 "x"\n.loc 1 {}', "{}: nop", "j {}f", ".word {}", "li a0, {}", ".skip {}"]
)
def test_what_looks_like_a_number_and_is_none_that_can_be_is_an_error_of_its_line(statement, number):
    errors = errors_of(statement.format(number))
    assert [error.location.line for error in errors] == [statement.count("\n") + 1]
