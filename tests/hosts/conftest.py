"""How the tests have another host execute Python."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.hosts.otherhost import ROOT, Other, python_of


@pytest.fixture(scope="session")
def python(oracle: Callable[[str], str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`python(AARCH64, "-m", "pytest", ...)`: another host's Python, or (None) this one, in the project's folder."""

    def run(other: Other | None, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        program = sys.executable if other is None else python_of(other, oracle)
        return subprocess.run(
            [program, *arguments], env=environment | {"PYTHONPATH": str(ROOT)}, cwd=ROOT, capture_output=True,
            text=True, timeout=900, check=False,
        )  # fmt: skip

    return run
