"""Sources that would grow without end: each ends soon, with one message, in memory that its size explains."""

import resource
import subprocess
import sys

import pytest

from linker.assembler import AssemblerOptions, assemble
from linker.commands.as_ import main
from linker.errors import AssemblyError
from linker.objects.writer import write_object


def messages(source, **options):
    with pytest.raises(AssemblyError) as caught:
        assemble(source, name="grow.S", options=AssemblerOptions(**options))
    return [str(found) for found in caught.value.diagnostics if found.severity == "error"]


def test_definitions_that_double_are_an_error():
    source = "\n".join(f"v{n} = v{n + 1} + v{n + 1}" for n in range(70)) + "\n.dword v0\nv70: nop"
    assert "a sum of more than 256 symbols" in messages(source)[0]


def test_a_definition_that_many_share_is_computed_once():
    source = "v40: nop\n" + "\n".join(f"v{n} = v{n + 1} - v40 + v{n + 1}" for n in reversed(range(40)))
    assemble(source, name="shared.s")
    late = (
        "\n".join(f"w{n} = (w{n + 1} - end) + (w{n + 1} - end) + end" for n in range(40))
        + "\nw40: nop\nend:\n.word w0 - end"
    )
    assemble(late, name="late.s")


def test_macros_of_the_preprocessor_that_double_are_one_error_at_their_use():
    source = "#define T0 1\n" + "".join(f"#define T{n} T{n - 1} T{n - 1}\n" for n in range(1, 45)) + "T44\n"
    (found,) = messages(source, preprocess=True)
    assert "grow.S:46" in found
    assert "become more than" in found


def test_a_header_that_includes_itself_is_one_error(tmp_path):
    header = tmp_path / "self.h"
    header.write_text('#include "self.h"\n#include "self.h"\n')
    source = tmp_path / "top.S"
    source.write_text('#include "self.h"\n')
    with pytest.raises(AssemblyError, match="nested more than 100 deep; does one include itself") as caught:
        assemble(source.read_text(), name=str(source), options=AssemblerOptions(preprocess=True))
    assert len(caught.value.diagnostics) == 1


def test_a_header_without_end_is_one_error():
    (found,) = messages('#include "/dev/zero"\n', preprocess=True)
    assert "/dev/zero:1: error: it has more than 256 MiB" in found


@pytest.mark.parametrize(
    ("condition", "reason"),
    [("5 % 0", "division by zero"), ("1 << 77777777777", "cannot be shifted by"), ("1 +", "it is no expression")],
)
def test_a_condition_of_the_preprocessor_that_has_no_value_says_why(condition, reason):
    (found,) = messages(f"nop\n#if {condition}\n#endif\n", preprocess=True)
    assert "grow.S:2" in found
    assert reason in found
    assert "Error" not in found


def test_macros_that_call_each_other_for_ever_are_one_error_with_few_notes():
    (found,) = messages(".macro x\ny\ny\n.endm\n.macro y\nx\nx\n.endm\nx")
    assert "nested more than 100 deep" in found
    assert "calls more" in found
    assert found.count("\n") < 40


@pytest.mark.parametrize("power", [29, 31, 36, 63])
def test_an_alignment_that_no_file_can_have_is_an_error(power):
    assert "at most 268435456 are sensible" in messages(f"nop\n.p2align {power}\nnop")[0]
    assert "is padded to its alignment" in messages(f".p2align {power}\nnop")[0]


def test_thousands_of_sections_and_groups_are_no_matter():
    source = "\n".join(
        f'.section .text.f{n}, "axG", @progbits, f{n}, comdat\nf{n}: ret\n'
        f'.section .meta.f{n}, "ao", @progbits, .text.f{n}\n.word {n}'
        for n in range(5000)
    )
    assert write_object(assemble(source, name="many.s")).count(b".meta.f4999\0") == 1


@pytest.mark.parametrize("body", ["ab" * 4_000_000, "\\n" * 1_000_000], ids=["plain", "escapes"])
def test_a_long_string_takes_memory_in_proportion(tmp_path, body):
    path = tmp_path / "long.s"
    path.write_text(f'.data\n.ascii "{body}"\n')
    limit = 400 << 20
    command = [sys.executable, "-m", "linker.commands.as_", "-o", str(tmp_path / "long.o"), str(path)]
    result = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_source_without_end_is_one_clear_error(tmp_path, capsys):
    assert main(["-o", str(tmp_path / "zero.o"), "/dev/zero"]) == 1
    assert "/dev/zero: error: cannot read the source: it has more than 256 MiB" in capsys.readouterr().err


def test_an_output_may_have_the_longest_name_that_the_file_system_has(tmp_path):
    source = tmp_path / "a.s"
    source.write_text("nop\n")
    output = tmp_path / ("n" * 255)
    assert main(["-o", str(output), str(source)]) == 0
    assert output.read_bytes()[:4] == b"\x7fELF"


def test_a_macro_may_have_many_parameters():
    names = [f"p{n}" for n in range(10_000)]
    obj = assemble(f".macro sum {', '.join(names)}\n.word \\p9999\n.endm\nsum {','.join('1' * 10_000)}", name="m.s")
    assert bytes(obj.section(".text").data) == b"\1\0\0\0"
