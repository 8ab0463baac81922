"""`ekernel nm`: the symbols of a file."""

import argparse
import sys
from collections.abc import Sequence

from linker.commands.image import Image, SymbolView, open_images
from linker.commands.run import guarded

PROGRAM = "ekernel nm"
_COMMON = 0xFFF2


def main(argv: Sequence[str] | None = None) -> int:
    """List symbols as the arguments say. Returns the exit status."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="List the symbols of objects and executables.")
    parser.add_argument("files", nargs="*", default=["a.out"], metavar="FILE")
    parser.add_argument("-n", "--numeric-sort", action="store_true", help="sort by address")
    parser.add_argument("-p", "--no-sort", action="store_true", help="leave them in the order of the file")
    parser.add_argument("-r", "--reverse-sort", action="store_true", help="sort backwards")
    parser.add_argument("-g", "--extern-only", action="store_true", help="global symbols only")
    parser.add_argument("-u", "--undefined-only", action="store_true", help="undefined symbols only")
    parser.add_argument("-U", "--defined-only", action="store_true", help="defined symbols only")
    parser.add_argument("-S", "--print-size", action="store_true", help="show sizes too")
    options = parser.parse_args(sys.argv[1:] if argv is None else list(argv))
    return guarded(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    for path in options.files:
        images = list(open_images(path))
        for image in images:
            if len(options.files) > 1 or image.name != path:
                print(f"\n{image.name}:")
            _list(image, options)
    return 0


def _list(image: Image, options: argparse.Namespace) -> None:
    symbols = [s for s in image.symbols if s.name and s.type not in ("SECTION", "FILE") and _wanted(s, options)]
    if not options.no_sort:
        by_name = not options.numeric_sort
        symbols.sort(
            key=lambda s: (
                (s.name.encode("utf-8", "replace"), s.value)
                if by_name
                else (s.section != 0, s.value, s.name.encode("utf-8", "replace"))
            ),
            reverse=options.reverse_sort,
        )
    for symbol in symbols:
        # The value of a common symbol is its alignment; what one wants to know is its size.
        shown = symbol.size if symbol.section == _COMMON else symbol.value
        value = " " * 16 if symbol.section == 0 else f"{shown:016x}"
        size = f" {symbol.size:016x}" if options.print_size and symbol.size else ""
        print(f"{value}{size} {letter(image, symbol)} {symbol.name}")


def _wanted(symbol: SymbolView, options: argparse.Namespace) -> bool:
    if symbol.name.startswith(("$x", "$d")):  # mapping symbols: they tell code from data
        return False
    if options.extern_only and symbol.binding == "LOCAL":
        return False
    if options.undefined_only:
        return symbol.section == 0
    return not (options.defined_only and symbol.section == 0)


def letter(image: Image, symbol: SymbolView) -> str:
    """The class of a symbol: `T` text, `D` data, `B` zeros, `R` read-only, `A` absolute, `U` undefined, `W` weak ..."""
    if symbol.binding == "WEAK":
        kind = "v" if symbol.type == "OBJECT" else "w"
        return kind if symbol.section == 0 else kind.upper()
    if symbol.section == 0:
        return "U"
    if symbol.section == _COMMON:
        return "C"
    if symbol.section == 0xFFF1 or symbol.section >= len(image.sections):
        found = "a"
    else:
        found = _section_letter(image, symbol.section)
    return found if symbol.binding == "LOCAL" else found.upper()


def _section_letter(image: Image, index: int) -> str:
    section = image.sections[index]
    if not section.flags & 0x2:
        return "N" if section.name.startswith(".debug") else "n"
    if section.flags & 0x4:
        return "t"
    if section.is_nobits:
        return "b"
    if section.flags & 0x1:
        return "d"
    return "r"


if __name__ == "__main__":
    sys.exit(main())
