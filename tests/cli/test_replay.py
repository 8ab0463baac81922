"""`ekernel replay`: a recorded run is lived again in another process, or said to be another one."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.record.container import Reader, Writer
from emu.record.replay import INPUTS
from tests.command import COMMAND, run_bytes
from tests.emu.debug.gdb.conftest import Client
from tests.emu.machine.history.test_travel import ECHO

READER = ECHO.replace("li s2, 24", "li s2, 2000")
"""Long enough to read all that is typed, as soon as it comes."""


def ekernel(*words: object, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return run_bytes(words, Path.cwd(), typed)


@pytest.fixture
def recorded(program: Callable[[str], Path], tmp_path: Path) -> Path:
    path = tmp_path / "run.ekrec"
    done = ekernel("run", "-q", "--record", path, program(READER), typed=b"abc")
    assert (done.returncode, done.stdout) == (0, b"abc")
    return path


def test_a_run_is_lived_again_with_what_was_typed(recorded: Path) -> None:
    done = ekernel("replay", recorded)
    assert (done.returncode, done.stdout) == (0, b"abc")
    assert re.fullmatch(rb"ekernel: the same run: [\d,]+ instructions\n", done.stderr)


def test_another_run_is_located_to_its_instruction(recorded: Path, tmp_path: Path) -> None:
    other, seen = tmp_path / "other.ekrec", []
    with Reader(recorded) as reader, Writer(other) as writer:
        for section in reader.sections:
            for chunk in reader.chunks(section):
                if section == INPUTS and b'"typed"' in chunk:
                    seen.append(json.loads(chunk)["at"][0])
                    chunk = chunk.replace(b"616263", b"6162")
                writer.add(section, chunk)
    assert len(seen) == 1
    done = ekernel("replay", "-q", other)
    assert done.returncode == 1
    found = re.search(rb"another run: after ([\d,]+) instructions it was at (\S+).*, and is at (\S+)", done.stderr)
    assert found, done.stderr
    assert int(found[1].replace(b",", b"")) > seen[0]


def test_gdb_looks_at_the_end_of_a_recorded_run_and_back_from_there(recorded: Path) -> None:
    process = subprocess.Popen([COMMAND, "replay", "-q", "--gdb", "tcp:127.0.0.1:0", recorded], stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert b"the same run" in process.stderr.readline()
    client = Client(int(process.stderr.readline().rpartition(b":")[2]))
    client.ask("?")
    end = client.ask("p20")
    assert client.ask("bs") == "T05thread:1;"
    assert client.ask("p20") != end
    assert client.ask("bc") == "T05replaylog:begin;thread:1;"
    assert client.ask("p20") == (0x8020_0000).to_bytes(8, "little").hex()
    client.send("k")
    assert process.wait(30) == 0
    process.stderr.close()


SECTORS = """
    li t0, 0x10001100  # the first slot's configuration: how many sectors the disk has
    lw t1, (t0)
1:  addi t1, t1, -1
    bnez t1, 1b
    li a7, 8
    ecall
"""


def test_a_machines_disk_is_in_its_recording(program: Callable[[str], Path], tmp_path: Path) -> None:
    elf, disk, path = program(SECTORS), tmp_path / "disk.img", tmp_path / "run.ekrec"
    disk.write_bytes(bytes(5 * 512))
    drive = f"file={disk},format=raw,if=none,id=d,snapshot=on"
    done = ekernel(
        "run",
        "-q",
        "-drive",
        drive,
        "-device",
        "virtio-blk-device,drive=d,bus=virtio-mmio-bus.0",
        "--record",
        path,
        elf,
    )
    assert done.returncode == 0, done.stderr
    disk.unlink()
    elf.unlink()
    done = ekernel("replay", path)
    assert (done.returncode, done.stderr) == (0, b"ekernel: the same run: 15 instructions\n")
    loaded = ekernel("trace", path, "registers", "-range", "1-3").stdout
    assert b"t1   = 0x0000000000000005" in loaded


def test_what_cannot_be_replayed_says_why(program: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "run.ekrec"
    ekernel("run", "-q", "--clock", "host", "--record", path, program(" li a7, 8\n ecall"))
    done = ekernel("replay", path)
    assert done.returncode == 125
    assert b"cannot be replayed" in done.stderr
    assert b"host's clock" in done.stderr
