import subprocess

import pytest
from elftools.elf.elffile import ELFFile

from linker.commands.as_ import main


def text_of(path):
    with path.open("rb") as file:
        return ELFFile(file).get_section_by_name(".text").data()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "a.s"
    path.write_text("start: li a0, VALUE\n")
    return path


def test_gnus_flags_are_understood(source, tmp_path):
    output = tmp_path / "a.o"
    flags = ["-march=rv64g", "-mabi=lp64d", "-mno-relax", "-I", str(tmp_path), "--defsym", "VALUE=0x10"]
    assert main([*flags, "-o", str(output), str(source)]) == 0
    assert text_of(output).hex() == "13050001"


def test_a_preprocessed_source_takes_macros(tmp_path):
    source, output = tmp_path / "a.S", tmp_path / "a.o"
    source.write_text("#if defined(BIG) && SIZE > 2\n nop\n#else\n#error no size\n#endif\n")
    assert main(["-D", "BIG", "-DSIZE=3", "-o", str(output), str(source)]) == 0
    assert text_of(output).hex() == "0100"


def test_errors_go_to_stderr_and_leave_the_old_object_alone(source, tmp_path, capsys):
    output = tmp_path / "a.o"
    output.write_bytes(b"old")
    assert main(["-o", str(output), str(source)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{source}:1:15: error: the value of 'VALUE' is not known here" in captured.err
    assert output.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.o", "a.s"]


def test_an_output_that_cannot_be_written_is_one_clear_error(source, tmp_path, capsys):
    assert main(["--defsym", "VALUE=1", "-o", str(tmp_path / "nowhere" / "a.o"), str(source)]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_a_missing_source_is_one_clear_error(tmp_path, capsys):
    assert main(["-o", str(tmp_path / "a.o"), str(tmp_path / "nowhere.s")]) == 1
    assert "cannot read the source" in capsys.readouterr().err


def test_warnings_are_printed_and_can_be_errors(tmp_path, capsys):
    source, output = tmp_path / "a.s", tmp_path / "a.o"
    source.write_text(".byte 300\n")
    assert main(["-o", str(output), str(source)]) == 0
    assert "warning: value 0x12c truncated to 0x2c" in capsys.readouterr().err
    output.unlink()
    assert main(["--fatal-warnings", "-o", str(output), str(source)]) == 1
    assert not output.exists()


def test_a_malformed_definition_is_an_error_of_usage(source, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--defsym", "VALUE=many", str(source)])
    assert caught.value.code == 2
    assert "expected SYM=VALUE" in capsys.readouterr().err


def test_binutils_read_the_object_without_complaint(oracle, tmp_path):
    source, output = tmp_path / "a.s", tmp_path / "a.o"
    source.write_text(
        '.globl f\nf: call g\nla a0, d\n.section .data.x, "awG", @progbits, grp, comdat\n'
        "d: .dword f\n.comm c, 4\n.bss\n.skip 5\n"
    )
    assert main(["-g", "-o", str(output), str(source)]) == 0
    for command in (["readelf", "-aW"], ["objdump", "-drwtx"], ["nm"]):
        program = oracle(f"riscv64-unknown-elf-{command[0]}")
        result = subprocess.run([program, *command[1:], str(output)], capture_output=True, text=True, check=True)
        assert result.stderr == ""
        assert result.stdout
