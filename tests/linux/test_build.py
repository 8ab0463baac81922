"""`build.py` as it is called: what is missing is said, what is kept is whole, and nobody builds twice."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.linux import build


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, on a host that has everything."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "_check_packages", lambda: None)
    monkeypatch.setattr(build, "_key", lambda: "key")
    return tmp_path / "ekernel"


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, build.__file__], env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert "apt-get install gcc-riscv64-linux-gnu" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_usage_says_what_it_does() -> None:
    result = subprocess.run([sys.executable, build.__file__, "--help"], capture_output=True, text=True, check=True)
    assert "folder" in result.stdout
    assert "a few minutes" in result.stdout


def test_a_build_that_fails_leaves_nothing_and_can_be_tried_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(work: Path, result: Path) -> None:
        (result / "Image").touch()
        raise build.BuildError("no")

    monkeypatch.setattr(build, "_build", fails)
    with pytest.raises(build.BuildError):
        build.linux()
    assert [path.name for path in cache.iterdir()] == ["linux-key.lock"]
    monkeypatch.setattr(build, "_build", lambda _work, result: (result / "Image").touch())
    assert build.linux().kernel.exists()


def test_a_program_that_fails_is_quoted(cache: Path) -> None:
    with pytest.raises(build.BuildError, match=r"(?s)ls --no-such-option failed with status \d+:.*no-such-option"):
        build._command("ls", "--no-such-option")


def test_two_who_ask_at_once_get_one_build(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds: list[Path] = []
    other: list[build.Linux] = []
    asking = threading.Thread(target=lambda: other.append(build.linux()))

    def slowly(work: Path, result: Path) -> None:
        builds.append(work)
        asking.start()
        (result / "Image").touch()

    monkeypatch.setattr(build, "_build", slowly)
    first = build.linux()
    asking.join()
    assert other == [first]
    assert len(builds) == 1
    assert first.kernel.exists()
