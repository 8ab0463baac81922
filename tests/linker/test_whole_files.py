"""Outputs appear whole under their names, or not at all."""

import os
from pathlib import Path

import pytest

from linker.commands.files import WholeFile, write_whole


@pytest.fixture(params=["nameless", "named"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a host that has files without names, or that has not."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE")
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_file_has_its_name_when_it_is_finished_and_replaces_the_old_one(folder: Path) -> None:
    (folder / "x").write_text("old")
    with WholeFile(folder / "x") as file:
        file.stream.write(b"new")
        file.stream.flush()
        assert (folder / "x").read_text() == "old"
    assert (folder / "x").read_text() == "new"
    assert names(folder) == ["x"]


def test_nothing_stays_of_a_file_that_an_exception_ends(folder: Path) -> None:
    def interrupted() -> None:
        with WholeFile(folder / "x") as file:
            file.stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(folder) == []


def test_a_file_without_a_name_stays_nowhere_when_the_process_is_killed(tmp_path: Path) -> None:
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("this host has no files without names")
    child = os.fork()
    if child == 0:
        WholeFile(tmp_path / "x").stream.write(b"half")
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    assert names(tmp_path) == []


def test_permissions_are_those_of_any_new_file(folder: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_whole(folder / "data", b"")
        write_whole(folder / "program", b"", executable=True)
    finally:
        os.umask(mask)
    assert [(folder / name).stat().st_mode & 0o777 for name in ("data", "program")] == [0o640, 0o750]


def test_a_link_is_followed_and_a_pipe_is_written_to(folder: Path) -> None:
    (folder / "link").symlink_to("real")
    write_whole(folder / "link", b"data")
    assert (folder / "real").read_bytes() == b"data"
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(folder / "pipe", b"data")
    assert os.read(reader, 10) == b"data"
    os.close(reader)
    assert names(folder) == ["link", "pipe", "real"]
