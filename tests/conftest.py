"""What all tests share: other people's programs to compare with, and which tests are slow."""

import gc
import os
import signal
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests.oracles import IN_CI, program

if TYPE_CHECKING:  # who runs a test without a kernel loads no toolchain
    from kernel.build import BuiltKernel

if not IN_CI:  # there hypothesis chooses its own profile, which has no deadline either
    hypothesis.settings.register_profile("no time asserted", deadline=None)
    hypothesis.settings.load_profile("no time asserted")


def pytest_configure() -> None:
    """Have Ctrl-C and hang-ups come through: a shell that starts the tests in the background has them ignored."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Have Python look for no garbage among the tests themselves, all of which stay: each search would take 0.4 s."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], str]:
    """The path of another project's program. Without it the test is skipped by name; in CI it fails."""
    return program


@pytest.fixture(scope="session")
def kernel_of(tmp_path_factory: pytest.TempPathFactory) -> "Callable[..., BuiltKernel]":
    """`kernel_of("full")`: the kernel of a profile, with other allocators, page replacement and store if wanted.

    It is built once in a run of the tests, by whichever worker asks first: nobody may change its files.
    """
    from kernel.build import build, profile_named

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # each worker's folder lies in that of the run

    @cache
    def built(
        name: str,
        frames: str | None = None,
        heap: str | None = None,
        replacement: str | None = None,
        store: str | None = None,
    ) -> "BuiltKernel":
        place = folder / "kernels" / f"{name}-{frames}-{heap}-{replacement}-{store}"
        return build(profile_named(name), place, frames=frames, heap=heap, replacement=replacement, store=store)

    return built


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests to CI, unless they were asked for by `-m`, by name or by file."""
    if IN_CI or config.option.markexpr or config.option.keyword:
        return
    slow = pytest.mark.skip(reason="slow: runs in CI, or with `-m slow`")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(slow)
