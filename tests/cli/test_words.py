"""QEMU's words in all their forms, and what a user is told who writes one that means nothing here."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from emu.cli import status_of
from emu.cli.shared.commands import OWN
from emu.cli.words.qemu import parse_size
from emu.cli.words.reading import Words
from emu.errors import ConfigError, ImageError
from emu.firmware import fdt
from emu.firmware.image import Image
from tests.cli.conftest import Ekernel

OFF = "li a7, 8\n ecall"
MIB = 1 << 20
RNG_IN_1 = ("-device", "virtio-rng-device,bus=virtio-mmio-bus.1")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("256M", 256 * MIB), ("256", 256 * MIB), ("size=256M", 256 * MIB), ("1G", 1024 * MIB), ("1g", 1024 * MIB),
        ("1.5G", 1536 * MIB), ("size=0.5g", 512 * MIB), ("2048K", 2 * MIB), ("64MiB", 64 * MIB), ("64MB", 64 * MIB),
    ],
)  # fmt: skip
def test_a_memory_size_is_written_as_for_qemu(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "M", "-5", "1T", "256M,slots=2", "size=", "0x100", "1e3", "1..5G", "²", "1_0"])
def test_what_is_no_memory_size_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a memory size; write for example 128M or 1G"):
        parse_size(text)


def memory_of(path: Path) -> bytes:
    root, _ = fdt.decode(path.read_bytes(), path.name)
    value = fdt.find(root, "/memory@80000000").properties["reg"]
    assert isinstance(value, bytes)
    return value


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "32M", "-dumpdtb", "out.dtb"],
        ["-m32M", "-machine", "virt,dumpdtb=out.dtb"],
        ["-m", "size=32M", "-M", "type=virt,dumpdtb=out.dtb", "-smp", "cpus=1,cores=1"],
        ["--memory", "32", "--dumpdtb=out.dtb", "-smp", "1,maxcpus=1", "-append", "-quiet"],
    ],
)
def test_every_spelling_gives_the_same_machine(
    ekernel: Ekernel, program: Callable[[str], Path], tmp_path: Path, words: list[str]
) -> None:
    result = ekernel("run", "-kernel", program(OFF), *words)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert memory_of(tmp_path / "out.dtb") == (0x8000_0000).to_bytes(8) + (32 * MIB).to_bytes(8)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-kernal", "x"], "-kernal: there is no such option here; did you mean -kernel?"),
        (["--kernal", "x"], "--kernal: there is no such option here; did you mean --kernel?"),
        (["--max-instruction=5"], "--max-instruction: there is no such option here; did you mean --max-instructions?"),
        (["-q", "-zzz"], "-zzz: there is no such option here; ekernel run --help lists"),
        (["-kcenl"], "-kcenl: there is no such option here; ekernel run --help lists"),
        (["-serial", "tcp:localhost:4444"], "write -serial stdio, or leave it out"),
        (["-monitor", "telnet:x"], "the monitor is behind Ctrl-A C"),
        (["-display", "gtk"], "there is no display"),
        (["-cpu", "sifive-u54"], "the hart is RV64GC"),
        (["-accel", "kvm"], "write -accel tcg"),
        (["-nic", "user"], "there is no network device"),
        (["-hda", "disk.img"], "write -drive file=FILE,format=raw"),
        (["-netdev", "user,id=n"], "there is no network device"),
        (["-d", "op"], "write --trace KINDS"),
        (["-max-instructions", "5"], "did you mean --max-instructions?"),
        (["--max-instructions", "many"], "'many' is not a number from 0 on"),
        (["--timeout", "0"], "give more than 0 seconds"),
        (["-q", "-append"], "-append/--append: a value must follow"),
        (["--until-console", ""], "--until-console: which text?"),
        (["-append", "quiet", "-S"], "continue it from gdb"),
        (["-device", "loader,addr=0x80200000"], "which file?"),
        (["-device", "loader,file=k.bin"], "Write addr=0x80200000"),
        (["-device", "loader,file=k.bin,addr=0x80200800"], "lies over"),
        (["-device", "loader,file=k.bin,addr=0x1000"], "; load it at 0x80000000 or above"),
        (["-device", "virtio-rng-device,bus=virtio-mmio-bus.9"], "virtio-mmio-bus.0 to virtio-mmio-bus.7"),
        ([*RNG_IN_1, *RNG_IN_1], "this slot is taken"),
        (["-machine", "virt,aia=aplic"], "'aia' is not known here: there is only dumpdtb"),
        (["-machine", "sifive_u"], "-machine sifive_u: there is only virt"),
        (["-smp", "1,maxcpus=4"], "-smp 1,maxcpus=4: this machine has one hart"),
        (["-smp", "cpus=1,hearts=1"], "'hearts' is not known here"),
        (["-smp", "0"], "this machine has one hart"),
        (["-drive", "file=disk.img,media=cdrom"], "there is only media=disk"),
        (["-m", "9G"], "from 1M to 8G"),
        (["-m", "512K"], "from 1M to 8G"),
    ],
)
def test_a_word_that_means_nothing_here_is_told_with_what_to_write(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k.bin").write_bytes(bytes(4096))
    status = status_of(["run", *words] if "-q" in words else ["run", *words, "-kernel", "k.bin"])
    output, errors = capsys.readouterr()
    assert (status, output) == (125, "")
    assert message in errors
    assert errors.startswith("ekernel: ")
    assert errors.count("\n") == 1


COMMANDS = sorted(OWN.keys() - {"mcp"})
"""Those that say what is wrong with their words before they serve somebody else."""


def taken(name: str) -> Words:
    words: Words = import_module(f"emu.cli.{name}").options()
    return words


@pytest.mark.parametrize("name", COMMANDS)
def test_an_empty_word_is_never_a_hole_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = taken(name)
    for option in dict.fromkeys(words.options().values()):
        if option.form:
            assert status_of([name, option.names[-1], "", "/no/such/file"]) == 125
            errors = capsys.readouterr().err
            assert errors.startswith("ekernel: ")
            assert "  " not in errors
            assert " :" not in errors
            assert "which file?" in errors or not option.names_file
    if words.operands and words.operands[0].names_file:
        assert status_of([name, ""]) == 125
        assert capsys.readouterr().err.endswith(f"{words.operands[0].form}: which file? The word is empty\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["as", "ld", "nm", "objdump", "readelf", "objcopy"])
def test_an_empty_word_is_no_file_of_a_tool_either(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert status_of([name, *(["-d"] if name == "objdump" else ["-h"] if name == "readelf" else []), ""]) != 0
    assert capsys.readouterr().err == "'': error: which file? The word is empty\n"


def test_an_empty_word_is_no_image_for_a_program_in_python() -> None:
    with pytest.raises(ImageError, match=r"^image: which file\? Its name is empty$"):
        Image.open("")
