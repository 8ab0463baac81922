"""Recordings that are still being written, as tests wait for them."""

from pathlib import Path

from emu.errors import RecordingError
from emu.record.container import Reader


def has_blocks(path: Path, chunks: int) -> bool:
    """Whether so many pieces of the record of blocks are in a file that may not even begin yet."""
    try:
        with Reader(path) as reader:
            return "blocks" in reader.sections and reader.sections["blocks"].chunks >= chunks
    except RecordingError:
        return False
