"""What a recording begins with: a file of any other kind is told from it without reading further."""

from emu.hints import FilePath

MAGIC = b"\x89ekernel\r\n\x1a\n"
"""As PNG's (RFC 2083, section 12.12): a byte that is no ASCII, and line ends that a bad transfer would change."""


def is_recording(path: FilePath | None) -> bool:
    """Whether a file that was named is a recording, and no kernel."""
    if path is None:
        return False
    try:
        with open(path, "rb") as stream:  # noqa: PTH123  # pathlib would be loaded for this
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False  # told by whoever reads it as a kernel
