"""A snapshot in a file: another machine, process or computer goes on from it exactly as the first would have."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from emu.errors import ConfigError, EmuError, RecordingError
from emu.machine import Drive, Machine, MachineConfig, Snapshot
from emu.record.container import Reader, Writer
from tests import command

COUNTS = """
        li t0, 1 << 13  # floating point on
        csrs sstatus, t0
        la t0, number
    again: ld a0, 0(t0)
        addi a0, a0, 1
        sd a0, 0(t0)
        csrr a1, time
        fmv.d.x fa0, a0
        j again
    .data
    number: .dword 5
"""


def moment(machine):
    return machine.instret, machine.hart.x[:], machine.hart.f[:], machine.hart.pc, machine.console


@pytest.mark.parametrize("fidelity", ["exact", "fast"])
def test_a_kernel_goes_on_from_a_file_as_if_nothing_had_been(kernel_of, tmp_path, fidelity):
    with Machine(MachineConfig(fidelity=fidelity, entropy=True)) as first:
        first.load(kernel_of("full").elf)
        first.run(400_000)
        first.snapshot().save(tmp_path / "boot.snap")
        with Machine.open(tmp_path / "boot.snap") as second:
            assert moment(second) == moment(first)
            assert second.symbols.lookup("frame_alloc") == first.symbols.lookup("frame_alloc")
            assert second.lines.at(int(second.hart.pc)) == first.lines.at(int(first.hart.pc))
            ends = [machine.run(3_000_000) for machine in (first, second)]
            assert ends[0] == ends[1]
            assert moment(second) == moment(first)
            assert bytes(second.memory.ram.view) == bytes(first.memory.ram.view)
            for machine in (first, second):
                machine.reset()
                machine.run(100_000)
            assert moment(second)[1:] == moment(first)[1:]


def test_a_tree_of_snapshots_is_saved_each_as_it_was_and_loads_into_the_machine_that_runs(boot, tmp_path):
    machine = boot(COUNTS)
    moments = []
    for number in range(3):
        machine.run(100 + number)
        moments.append((machine.snapshot(), moment(machine)))
    machine.restore(moments[1][0])
    machine.run(50)
    beside = machine.snapshot()
    for number in (0, 2, 1):
        snapshot, _ = moments[number]
        snapshot.save(tmp_path / f"{number}.snap")
        assert machine.instret == beside.instret
    for number in (1, 0, 2):
        with Machine.open(tmp_path / f"{number}.snap") as other:
            assert moment(other) == moments[number][1]
        loaded = Snapshot.load(tmp_path / f"{number}.snap", machine)
        for _ in range(2):
            machine.restore(loaded)
            assert moment(machine) == moments[number][1]
            machine.run(10)
        machine.restore(beside)
        assert machine.instret == beside.instret


def test_a_file_that_does_not_fit_is_refused_with_the_reason(boot, tmp_path):
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1024))
    machine = boot(COUNTS, drives=(Drive(path=disk, snapshot=True),))
    path = tmp_path / "a.snap"
    machine.snapshot().save(path)
    with pytest.raises(ConfigError, match=r"does not fit this machine: ram_size is 16777216 there, and 33554432 here"):
        Snapshot.load(path, Machine(MachineConfig(fidelity=machine.config.fidelity, ram_size=32 << 20)))
    disk.write_bytes(b"x" + bytes(1023))
    with pytest.raises(ConfigError, match=r"disk .*disk.img is not as it was when .*a.snap was saved"):
        Machine.open(path)
    disk.unlink()
    with pytest.raises(EmuError, match=r"disk\.img does not exist"):
        Machine.open(path)
    with pytest.raises(ConfigError, match=r"cannot be saved, because the file would not return"):
        boot(COUNTS, drives=(Drive(path=_made(disk)),)).snapshot()
    with pytest.raises(RecordingError, match=r"is no snapshot: those are made by snapshot.save"):
        Machine.open(disk)
    with Writer(tmp_path / "other.snap") as writer:
        writer.add("run", b"{}")
    with pytest.raises(RecordingError, match=r"other.snap is no snapshot"):
        Machine.open(tmp_path / "other.snap")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RecordingError, match=r"a\.snap is not whole"):
        Machine.open(path)
    with pytest.raises(ConfigError, match="cannot"):
        machine.snapshot().save(tmp_path / "nowhere" / "b.snap")


def _made(disk: Path) -> Path:
    disk.write_bytes(bytes(1024))
    return disk


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda about: about | {"format": 2}, "does not fit this ekernel"),
        (lambda about: about | {"unicorn": "1.0"}, "it was made by ekernel .* with unicorn 1.0; boot again"),
        (lambda about: about | {"shape": 7}, "saved by another version of ekernel"),
        (lambda about: about | {"state": []}, "stands where a tuple was expected|damaged"),
        (lambda about: about | {"config": about["config"] | {"fidelity": "best"}}, "fidelity 'best'"),
        (lambda about: about | {"config": {}}, "damaged"),
        (lambda about: about | {"plan": {}}, "damaged"),
        (lambda about: about | {"instret": "many"}, "damaged"),
    ],
)
def test_a_file_with_other_contents_is_refused(boot, tmp_path, change, text):
    machine = boot(COUNTS)
    machine.snapshot().save(tmp_path / "a.snap")
    _rewritten(
        tmp_path / "a.snap",
        lambda name, data: json.dumps(change(json.loads(data))).encode() if name == "machine" else data,
    )
    with pytest.raises(EmuError, match=text):
        Machine.open(tmp_path / "a.snap")


def test_a_strangers_state_brings_no_host_down(boot, tmp_path):
    machine = boot(COUNTS)
    machine.run(100)
    machine.snapshot().save(tmp_path / "good.snap")
    code = "import sys; from tests.emu.record.test_snapshot_files import _try; _try(sys.argv[1])"
    chosen = random.Random(machine.config.fidelity)
    for number in range(40):
        path = tmp_path / f"{number}.snap"
        path.write_bytes((tmp_path / "good.snap").read_bytes())
        _rewritten(path, lambda name, data: _spoilt(data, chosen) if name in ("blobs", "runs", "pages") else data)
    root = Path(__file__).parents[3]
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split()[-1] == "40"


def _spoilt(data: bytes, chosen: random.Random) -> bytes:
    spoilt = bytearray(data)
    for _ in range(chosen.choice([1, 8, 200])):
        at = chosen.randrange(len(spoilt))
        spoilt[at : at + 8] = chosen.randbytes(8)
    return bytes(spoilt[: len(data)])


def _try(folder: str) -> None:
    tried = 0
    for path in sorted(Path(folder).glob("[0-9]*.snap")):
        try:
            with Machine.open(path) as machine:
                machine.run(1000)
        except EmuError:
            pass  # refused, or the guest could not go on: both leave the host as it was
        tried += 1
    print(tried)


def _rewritten(path: Path, change) -> None:
    with Reader(path) as reader:
        sections = {name: b"".join(reader.chunks(name)) for name in reader.sections}
    with Writer(path) as writer:
        for name, data in sections.items():
            writer.add(name, change(name, data))


def test_the_command_line_saves_where_a_run_ended_and_goes_on_from_there(tmp_path, build):
    def run(*words):
        return command.run(["run", "-q", *words], tmp_path)

    whole = run("--profile", "full")
    first = run("--profile", "full", "--max-instructions", "400000", "--save", "boot.snap")
    assert first.returncode == 124
    second = run("--from", "boot.snap")
    assert (second.returncode, second.stderr) == (whole.returncode, whole.stderr)
    assert first.stdout + second.stdout == whole.stdout
    assert first.stdout
    assert second.stdout
    refused = run("--from", "boot.snap", "-m", "64M")
    assert refused.returncode == 125
    assert "-m: the machine is that of boot.snap; leave -m out, or --from" in refused.stderr
    refused = run("--from", "nothing.snap")
    assert refused.returncode == 125
    assert "nothing.snap" in refused.stderr


def test_a_link_is_followed_and_a_pipe_written_to(tmp_path):
    machine = Machine(MachineConfig(ram_size=16 << 20))
    (tmp_path / "target").write_bytes(b"what was there before")
    (tmp_path / "link").symlink_to("target")
    machine.snapshot().save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    saved = (tmp_path / "target").read_bytes()
    with Machine.open(tmp_path / "target"):
        pass
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        machine.snapshot().save(tmp_path / "pipe")
        assert reader.stdout.read() == saved
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(ConfigError, match=r"cannot save to .*: Is a directory"):
        machine.snapshot().save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"target", "link", "pipe"}
