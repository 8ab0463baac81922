"""Files that appear under their names when they are complete, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EISDIR
from pathlib import Path


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Where to write a file, which gets its name when the block has ended well.

    Links are followed; what is no file to be replaced, a device or a pipe, is written to itself. Raises OSError.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp(), "notes")
    >>> with whole(target) as place:
    ...     _ = place.write_text("complete")
    ...     target.exists()
    False
    >>> target.read_text()
    'complete'
    """
    import tempfile  # a slow import that only those who write need

    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    if target.exists() and not target.is_file():
        yield target
        return
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".ekernel-")
    os.close(handle)
    partial = Path(name)
    try:
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
