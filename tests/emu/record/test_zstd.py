"""Zstandard is that of its package, whichever of both is loaded first."""

import subprocess
import sys

import pytest

CHECK = """
assert (zstandard.ZstdError, zstandard.ZstdDecompressor) == (zstd.ZstdError, zstd.ZstdDecompressor)
packed = zstd.ZstdCompressor().compress(bytes(1000))
assert zstd.get_frame_parameters(packed).content_size == 1000
assert zstandard.decompress(packed) == zstd.ZstdDecompressor().decompress(packed) == bytes(1000)
print(before)
"""
OURS = "import sys; import emu.record.zstd as zstd; before = 'zstandard' in sys.modules; import zstandard"
THEIRS = "import sys; import zstandard; before = 'zstandard' in sys.modules; import emu.record.zstd as zstd"


@pytest.mark.parametrize(("imports", "loaded"), [(OURS, False), (THEIRS, True)])
def test_it_is_the_packages_own(imports: str, loaded: bool) -> None:
    done = subprocess.run([sys.executable, "-c", imports + CHECK], capture_output=True, text=True, check=True)
    assert done.stdout == f"{loaded}\n"
