"""The code of modules that commands have loaded, in one file: a start opens it once, instead of a file for each module.

Python keeps what it has compiled of each module in a file of its own, in `__pycache__`, and to find, check and read 170
of them is a seventh of a start of `ekernel run`. A command that ends copies the code of what it has loaded into one
file beside them; the next one takes a module's code from there while its source has the time and size that it was
compiled from. Whatever is not there, or is older than its source, is loaded in Python's own way.
"""

import atexit
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import MAGIC_NUMBER, spec_from_file_location
from marshal import dumps, loads
from mmap import ACCESS_READ, mmap
from types import CodeType, ModuleType

_MAGIC = b"ekernel1" + MAGIC_NUMBER
_HEAD = len(_MAGIC) + 4
"""In front of the index: the magic bytes and the size of the index."""
_PYC_HEAD = 16
"""In front of the code in a file of Python's (PEP 552): its magic number, flags, the source's time and its size."""

_DAMAGED = (EOFError, ValueError, TypeError)
"""What is raised where a host has lost what was written last."""

Module = tuple[str, bool, int, int]
"""A module: its source, whether it is a package, and the source's time and size as in PEP 552."""
Kept = tuple[Module, int, int]
"""A module, where its code begins behind the index, and how long it is."""


class _Loader(SourceFileLoader):
    """Loads a module as Python does, of code that is there."""

    def __init__(self, name: str, source: str, code: memoryview) -> None:
        super().__init__(name, source)
        self._code = code

    def get_code(self, fullname: str) -> CodeType | None:
        try:
            code: CodeType = loads(self._code)  # noqa: S302  # what Python itself has compiled, kept where it keeps it
        except _DAMAGED:
            return super().get_code(fullname)
        return code


class CodeFile:
    """Finds modules of some packages in a file (see `sys.meta_path`), and adds to it what they have been found in."""

    def __init__(self, file: str, packages: Sequence[str]) -> None:
        """Read what is in the file; nothing where there is none, or another version's."""
        self._file, self._packages = file, packages
        self._index: dict[str, Kept] = {}
        self._codes = memoryview(b"")
        self._known = set(sys.modules)
        """The modules that the file needs not have: they are there before it, or come from it."""
        self._read()

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """How to load a module; None where its code is not here, or is not its source's."""
        kept = self._index.get(name)
        if kept is None or not _is_current(kept[0]):
            return None
        self._known.add(name)
        source, is_package, *_ = kept[0]
        loader = _Loader(name, source, self._code(kept))
        folders = [os.path.dirname(source)] if is_package else None  # noqa: PTH120  # pathlib costs more than this saves
        return spec_from_file_location(name, source, loader=loader, submodule_search_locations=folders)

    def keep(self) -> None:
        """Write the file anew where this process has loaded more than it has; leave it where that cannot be done."""
        if sys.dont_write_bytecode or not os.access(os.path.dirname(self._file), os.W_OK):  # noqa: PTH120
            return
        news = dict(self._news())
        if not news:
            return
        codes = {
            name: (kept[0], bytes(self._code(kept)))
            for name, kept in self._index.items()
            if name not in news and _is_current(kept[0])
        } | news
        index: dict[str, Kept] = {}
        place = 0
        for name, (module, code) in codes.items():
            index[name] = (module, place, len(code))
            place += len(code)
        described = dumps(index)
        beside = f"{self._file}.{os.getpid()}"
        try:
            with open(beside, "wb") as file:  # noqa: PTH123
                file.write(_MAGIC + len(described).to_bytes(4, "little") + described)
                file.writelines(code for _, code in codes.values())
            os.replace(beside, self._file)  # noqa: PTH105
        except OSError:  # no room, or a folder that is gone: starts go on without
            if os.path.exists(beside):  # noqa: PTH110
                os.unlink(beside)  # noqa: PTH108

    def _code(self, kept: Kept) -> memoryview:
        return self._codes[kept[1] : kept[1] + kept[2]]

    def _read(self) -> None:
        try:
            with open(self._file, "rb") as file:  # noqa: PTH123
                whole = memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
        except (OSError, ValueError):  # ValueError: an empty one
            return
        if whole[: len(_MAGIC)] == _MAGIC:
            end = _HEAD + int.from_bytes(whole[len(_MAGIC) : _HEAD], "little")
            with suppress(*_DAMAGED):
                self._index, self._codes = loads(whole[_HEAD:end]), whole[end:]  # noqa: S302

    def _news(self) -> Iterator[tuple[str, tuple[Module, bytes]]]:
        """What Python has found of the packages in files of its own: each module's name, and its code."""
        loaded = [name for name in sys.modules if name.partition(".")[0] in self._packages]
        for name in loaded:
            spec = sys.modules[name].__spec__
            if name in self._known or spec is None or spec.origin is None or spec.cached is None:
                continue
            try:
                with open(spec.cached, "rb") as file:  # noqa: PTH123
                    pyc = file.read()
            except OSError:
                continue
            if pyc[:8] == MAGIC_NUMBER + bytes(4):  # no flags: of a source with a time, not with a hash
                time, size = (int.from_bytes(pyc[place : place + 4], "little") for place in (8, 12))
                yield name, ((spec.origin, spec.submodule_search_locations is not None, time, size), pyc[_PYC_HEAD:])


def _is_current(module: Module) -> bool:
    """Whether a module's source is what its code was compiled from."""
    try:
        found = os.stat(module[0])  # noqa: PTH116
    except OSError:
        return False
    return (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF) == module[2:]


def install(packages: Sequence[str]) -> None:
    """Take modules of the packages from this Python's file from here on, and keep what was new at the process's end."""
    cached = __spec__.cached
    if cached is not None:
        found = CodeFile(cached.replace("codefile.", "ekernel.").removesuffix(".pyc") + ".codes", packages)
        sys.meta_path.insert(0, found)
        atexit.register(found.keep)
