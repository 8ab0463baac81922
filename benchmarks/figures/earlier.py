"""An earlier revision, to measure beside: the last one whose blocks began with a call instead of operations."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

REVISION = "fd8c363"
ROOT = Path(__file__).parents[2]


@contextmanager
def sources() -> Iterator[Path | None]:
    """A folder with its `emu`, for the duration of the block; None where the revision is missing."""
    archived = subprocess.run(["git", "-C", ROOT, "archive", REVISION, "emu"], capture_output=True)
    if archived.returncode:
        yield None
        return
    with TemporaryDirectory() as name:
        with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as files:
            files.extractall(name, filter="data")
        yield Path(name)


def measured(script: str, arguments: Sequence[str], root: Path) -> list[float]:
    """The numbers that a Python program prints with the `emu` of a folder."""
    run = subprocess.run([sys.executable, "-c", script, *arguments], cwd=root, check=True, stdout=subprocess.PIPE)
    return [float(word) for word in run.stdout.split()]
