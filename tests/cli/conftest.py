"""Runs the `ekernel` command as a user does."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from linker.commands import as_, ld
from tests import command
from tests.cli.terminal import Terminal

Ekernel = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def guests_die_with_their_test() -> Iterator[None]:
    """No guest at a terminal is left running when its test has failed."""
    yield
    Terminal.end_all()


@pytest.fixture
def ekernel(tmp_path: Path) -> Ekernel:
    """`ekernel("run", "x.elf", typed="text")`: the finished process, run in `tmp_path`."""

    def run(*arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
        return command.run(arguments, tmp_path, typed)

    return run


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Path]:
    """`program(source)`: an ELF of an assembly source, linked at 0x80200000 by the project's `as` and `ld`."""

    def make(source: str) -> Path:
        (tmp_path / "guest.s").write_text(f".globl _start\n_start:\n{source}\n")
        object_file, elf = (str(tmp_path / name) for name in ("guest.o", "guest.elf"))
        assert as_.main(["-g", "-o", object_file, str(tmp_path / "guest.s")]) == 0
        assert ld.main(["-Ttext=0x80200000", "-o", elf, object_file]) == 0
        return tmp_path / "guest.elf"

    return make


@pytest.fixture
def browser(oracle: Callable[[str], str], tmp_path: Path) -> Iterator[Any]:
    """A browser without a window that keeps what it downloads in `tmp_path`."""
    driver, chromium = oracle("chromedriver"), oracle("chromium")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,1000"):
        options.add_argument(word)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()
