"""A class is graded on other machines: each kernel once, also when a worker ends in the middle of one."""

import json
import re
from pathlib import Path

import pytest

from emu.campaign import engine
from emu.cli import status_of
from linker import link
from linker.assembler import assemble

HELPER = "WANTED = 42\n"
TESTS = """
import os
import signal
from pathlib import Path
from ekernel import points
from helper import WANTED

@points(2)
def test_the_answer_is_right(call):
    assert call("long answer(void)") == WANTED

def test_a_worker_that_is_lost_loses_nothing(machine):
    name = Path(machine.image.name).name
    with Path({log!r}).open("a") as log:
        log.write(name + chr(10))
    if name == "b.elf" and Path({log!r}).read_text().count("b.elf") == 1:
        nursery = Path(f"/proc/{{os.getppid()}}/stat").read_text()
        os.kill(int(nursery.rpartition(") ")[2].split()[1]), signal.SIGKILL)  # the worker, its parent
        signal.pause()  # who is the child of a lost worker is ended
        Path({log!r}).write_text("went on without its worker")
"""
SCRIPT = "ENTRY(answer) SECTIONS { . = 0x80200000; .text : { *(.text) } }"


@pytest.mark.slow
def test_each_kernel_is_graded_once_though_a_worker_is_killed(cluster, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "log"
    Path("test_lab.py").write_text(TESTS.format(log=str(log)))
    Path("helper.py").write_text(HELPER)
    names = ["a.elf", "b.elf", "c.elf"]
    for number, name in enumerate(names):
        code = assemble(f".globl answer\n.type answer, @function\nanswer: li a0, {42 + number // 2}\nret", name="a.s")
        Path(name).write_bytes(link([code], script=SCRIPT).elf)
    words = ["grade", "-q", "test_lab.py", *names, "--scheduler", cluster(2), "--json", "class.json"]
    assert status_of(words) == 1
    grades = json.loads(Path("class.json").read_text())["grades"]
    assert [(each["kernel"], each["score"], each["points"]) for each in grades] == [
        ("a.elf", 3, 3), ("b.elf", 3, 3), ("c.elf", 1, 3),
    ]  # fmt: skip
    ran = log.read_text().split()  # a grade that was lost with its worker before it was told is had again
    assert set(ran) == set(names)
    assert ran.count("b.elf") == 2
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(engine, "identity", lambda: "another")
    assert status_of([*words[:4], *words[6:8]]) == 125
    assert re.search(
        r"--scheduler tcp:.*: the worker on \S+ has another ekernel \(\w{16}, here another\): install the same version",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["127.0.0.1"], "--scheduler 127.0.0.1: give an address as tcp://HOST:8786, or local"),
        (["tcp://127.0.0.1:8786", "-j", "2"], "-j: the workers of --scheduler say how many"),
    ],
)
def test_what_no_scheduler_can_be_is_said_at_once(words, told, tmp_path, capsys):
    (tmp_path / "t.py").touch()
    assert status_of(["grade", str(tmp_path / "t.py"), str(tmp_path / "t.py"), "--scheduler", *words]) == 125
    assert told in capsys.readouterr().err


def test_without_the_engine_its_package_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    (tmp_path / "t.py").touch()
    words = ["grade", str(tmp_path / "t.py"), str(tmp_path / "t.py"), "--scheduler", "tcp://127.0.0.1:8786"]
    assert status_of(words) == 125
    assert "--scheduler needs dask.distributed: pip install 'ekernel[campaign]'" in capsys.readouterr().err
