"""Zstandard without its package, which loads `platform`, `re` and `typing`: 13 ms of going on from a file."""

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from types import ModuleType

from emu.hints import TYPE_CHECKING

__all__ = ("ZstdCompressor", "ZstdDecompressor", "ZstdError", "get_frame_parameters")


def _backend() -> ModuleType:
    """The package's own part in C, which all of it is made of; the package where it is there, or told what to take."""
    spec = None
    if "zstandard" not in sys.modules and "PYTHON_ZSTANDARD_IMPORT_POLICY" not in os.environ:
        spec = find_spec("zstandard")
    for folder in (spec and spec.submodule_search_locations) or ():
        for suffix in EXTENSION_SUFFIXES:
            file = f"{folder}/backend_c{suffix}"
            part = spec_from_file_location("zstandard.backend_c", file) if os.path.isfile(file) else None  # noqa: PTH113
            if part is not None and part.loader is not None:
                module = module_from_spec(part)
                part.loader.exec_module(module)
                return module
    import zstandard

    return zstandard


if TYPE_CHECKING:
    from zstandard import ZstdCompressor, ZstdDecompressor, ZstdError, get_frame_parameters
else:
    _found = _backend()
    ZstdCompressor, ZstdDecompressor, ZstdError = _found.ZstdCompressor, _found.ZstdDecompressor, _found.ZstdError
    get_frame_parameters = _found.get_frame_parameters
