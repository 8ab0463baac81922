"""Whatever a guest executes ends in a guest trap, a machine error or the limit; never in the host's process."""

import os
import signal
from pathlib import Path

import pytest

from tests.emu.fuzz import run as fuzzing
from tests.emu.fuzz.guests import CODE, Guest, generate
from tests.emu.fuzz.sessions import GUESTS, SECTORS, Session, machine, run, run_guest, session

CORPUS = sorted(Path(__file__).with_name("corpus").glob("*.json"))


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(SECTORS * 512))
    return path


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_once_broke_the_machine_does_not_any_more(path, disk):
    played = Session.from_json(path.read_text())
    for fidelity in ("exact", "fast"):
        endings = list(run(Session({**played.settings, "fidelity": fidelity}, played.guests), disk))
        assert len(endings) == len(played.guests)


def test_random_guests_end_in_an_orderly_way():
    result = fuzzing.fuzz(0, 4, 1)
    assert list(fuzzing.report(result, None))[1:] == []
    assert result.guests == 4 * GUESTS
    assert {"INSTRUCTION_LIMIT", "IDLE_FOREVER", "double fault"} <= set(result.endings)


@pytest.mark.slow
def test_many_more_random_guests_end_in_an_orderly_way():
    result = fuzzing.fuzz(2000, 100, 1)
    assert list(fuzzing.report(result, None))[1:] == []
    assert result.guests == 100 * GUESTS


def states(settings, guests, disk):
    """What a machine is like after each guest; at the limit, a trap that retires nothing may be taken or not."""
    made = machine(settings, disk)
    start = made.snapshot()
    for guest in guests:
        made.restore(start)
        ending = run_guest(made, guest)
        yield ending, made.instret, tuple(made.hart.x), made.console


@pytest.mark.parametrize("seed", range(4))
def test_random_guests_do_the_same_with_native_and_python_probes(disk, seed):
    settings, guests = {**session(seed).settings, "watches": [], "listens": []}, session(seed).guests[:25]
    native, python = (states({**settings, "python_probes": slow}, guests, disk) for slow in (False, True))
    for number, (one, other) in enumerate(zip(native, python, strict=True)):
        assert one == other, number


def test_the_disk_of_the_guests_is_never_written(disk):
    for number in range(2):
        list(run(session(number), disk))
    assert disk.read_bytes() == bytes(SECTORS * 512)


def test_a_guest_is_the_same_from_its_seed_and_from_its_file():
    guest = generate(7)
    assert generate(7) == guest == Guest.from_json(guest.to_json())
    assert generate(8) != guest
    played = Session(session(3).settings, [guest])
    assert Session.from_json(played.to_json()) == played


@pytest.mark.slow
def test_a_worker_that_dies_is_seen_and_its_guest_named(monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal\n"
        "from tests.emu.fuzz import sessions\n"
        "plain = sessions.run\n"
        "def run(played, disk, before=lambda number: None):\n"
        "    def note(number):\n"
        "        before(number)\n"
        "        if played.guests[number] == sessions.generate(1 * sessions.GUESTS + 5):\n"
        "            os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    return plain(played, disk, note)\n"
        "sessions.run = run\n"
    )
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{root}")
    result = fuzzing.fuzz(0, 3, 1)
    (found,) = result.found
    assert (found.session, found.guest) == (1, 5)
    assert str(-signal.SIGSEGV) in found.how
    assert result.guests == 2 * GUESTS, "the sessions before and after it are run"
    kept = fuzzing.reduced(found)
    assert list(kept.guests) == [generate(1 * GUESTS + 5)]
    *_, line = fuzzing.report(result, tmp_path)
    assert Session.from_json(Path(line.removeprefix("kept as ")).read_text()) == kept
    assert kept.guests[0].pieces[0][0] == CODE
