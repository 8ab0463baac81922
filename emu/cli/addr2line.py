"""`ekernel addr2line`: addresses as functions and source lines, with GNU's options and output."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from emu.errors import ImageError
from emu.firmware.functions import Frame, FunctionFinder
from emu.firmware.names import SymbolFile
from emu.firmware.symbols import readable_name

PROGRAM = "ekernel addr2line"
_UNKNOWN = "??"


def main(argv: Sequence[str]) -> int:
    """Translate addresses as the arguments say. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Convert addresses into functions and source lines; without addresses, those on standard input.",
    )
    parser.add_argument("addresses", nargs="*", metavar="ADDRESS", help="hexadecimal, with or without 0x")
    parser.add_argument("-e", "--exe", default="a.out", metavar="FILE", help="the executable (default: a.out)")
    parser.add_argument("-a", "--addresses", dest="show", action="store_true", help="show the addresses")
    parser.add_argument("-f", "--functions", action="store_true", help="show function names")
    parser.add_argument("-i", "--inlines", action="store_true", help="show the callers of inlined functions too")
    parser.add_argument("-p", "--pretty-print", action="store_true", help="one line for each function")
    parser.add_argument("-s", "--basenames", action="store_true", help="file names without directories")
    parser.add_argument("-C", "--demangle", action="store_true", help="readable function names (Rust's)")
    options = parser.parse_args(["-C" if word.startswith("--demangle=") else word for word in argv])
    path = Path(options.exe)
    try:
        with path.open("rb") as file:
            translator = _Translator(ELFFile(file), _symbols(path), options)
            for text in options.addresses or _typed(sys.stdin):
                print("\n".join(translator.lines(text)), flush=not options.addresses)
    except OSError as error:
        print(f"{PROGRAM}: '{path}': {error.strerror}", file=sys.stderr)
        return 1
    except ELFError:
        print(f"{PROGRAM}: '{path}' is not an ELF file", file=sys.stderr)
        return 1
    return 0


def _typed(stream: Iterable[str]) -> Iterator[str]:
    """One address a line, as GNU reads them."""
    for line in stream:
        yield (line.split() or ["0"])[0]


def _symbols(path: Path) -> SymbolFile | None:
    try:
        return SymbolFile.open(path)
    except ImageError:  # it was stripped
        return None


class _Translator:
    """Translates addresses of one executable."""

    def __init__(self, elf: ELFFile, symbols: SymbolFile | None, options: argparse.Namespace) -> None:
        self._finder = FunctionFinder(elf)
        self._symbols = symbols.symbols if symbols else None
        self._options = options

    def lines(self, text: str) -> Iterator[str]:
        """What is said about an address."""
        options = self._options
        address = _number(text)
        frames = self._finder.frames(address)
        prefix = f"{address:#018x}"
        if options.show and not options.pretty_print:
            yield prefix
        for number, frame in enumerate(frames if options.inlines else frames[:1]):
            place, function = self._place(frame, address), self._function(frame, address)
            if not options.pretty_print:
                if options.functions:
                    yield function
                yield place
                continue
            opening = " (inlined by) " if number else f"{prefix}: " if options.show else ""
            if not options.functions:
                yield f"{opening}{place}"
            else:
                yield f"{opening}{function}{' ' if function == _UNKNOWN else ' at '}{place}"

    def _place(self, frame: Frame, address: int) -> str:
        if frame.file is None:
            return f"{_UNKNOWN}:{'?' if self._symbol(address) else '0'}"
        file = PurePosixPath(frame.file).name if self._options.basenames else frame.file
        return f"{file}:{frame.line or '?'}"

    def _function(self, frame: Frame, address: int) -> str:
        name = frame.function or self._symbol(address) or _UNKNOWN
        return readable_name(name) if self._options.demangle else name

    def _symbol(self, address: int) -> str | None:
        found = self._symbols.at(address) if self._symbols else None
        return found[0].name if found else None


def _number(text: str) -> int:
    """The hexadecimal number that a text begins with; 0 where it is none, as strtoul has it."""
    digits = text.lower().removeprefix("0x")
    length = next((place for place, letter in enumerate(digits) if letter not in "0123456789abcdef"), len(digits))
    return min(int(digits[:length] or "0", 16), (1 << 64) - 1)
