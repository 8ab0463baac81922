"""What all tests share: other people's programs to compare with, and which tests are slow."""

import signal
from collections.abc import Callable

import hypothesis
import pytest

from tests.oracles import IN_CI, program

if not IN_CI:  # there hypothesis chooses its own profile, which has no deadline either
    hypothesis.settings.register_profile("no time asserted", deadline=None)
    hypothesis.settings.load_profile("no time asserted")


def pytest_configure() -> None:
    """Have Ctrl-C and hang-ups come through: a shell that starts the tests in the background has them ignored."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], str]:
    """The path of another project's program. Without it the test is skipped by name; in CI it fails."""
    return program


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests to CI, unless they were asked for by `-m`, by name or by file."""
    if IN_CI or config.option.markexpr or config.option.keyword:
        return
    slow = pytest.mark.skip(reason="slow: runs in CI, or with `-m slow`")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(slow)
