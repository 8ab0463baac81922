"""What tests compare with and do not bring themselves: without it a test is skipped by name, and fails in CI."""

import os
import platform
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

IN_CI = bool(os.environ.get("CI"))


def missing(message: str) -> NoReturn:
    """Leave this test, because of what the message says."""
    if IN_CI:
        pytest.fail(message)
    pytest.skip(message)


def required(path: Path, package: str) -> Path:
    """A file or folder of a Debian package."""
    if not path.exists():
        missing(f"{path} is not installed (Debian's package {package}: see .ci/run)")
    return path


def program(name: str) -> str:
    """The path of another project's program."""
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is not installed (Debian's packages: see .ci/run)")
    return path


def keystone() -> None:
    """The assembler of native code, which Python's index has for x86-64 alone: no other host can assemble."""
    if platform.machine() != "x86_64":
        pytest.skip("keystone has no wheel for this host")
    if find_spec("keystone") is None:
        missing("keystone is not installed (pip install 'ekernel[dev]')")
