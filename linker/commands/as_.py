"""`ekernel as`: the assembler with GNU's command line."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from linker.assembler import AssemblerOptions, assemble, assemble_file
from linker.assembler.expressions import wrap
from linker.assembler.files import MAX_SOURCE
from linker.commands.files import write_whole
from linker.errors import AssemblyError, Diagnostic, Location
from linker.objects.model import ObjectFile
from linker.objects.writer import write_object

_ABIS = ("lp64", "lp64f", "lp64d")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ekernel as",
        description="Assemble RISC-V source (GNU syntax) into a relocatable object.",
        epilog="A file whose name ends in .S goes through the C preprocessor first.",
    )
    parser.add_argument("source", help="the source; '-' reads standard input")
    parser.add_argument("-o", dest="output", default="a.out", metavar="FILE", help="the object (default: a.out)")
    parser.add_argument(
        "-I", dest="include", action="append", default=[], metavar="DIR", help="look for included files there"
    )
    parser.add_argument(
        "--defsym", action="append", default=[], metavar="SYM=VALUE", help="give a symbol a number before reading"
    )
    parser.add_argument(
        "-D", dest="macros", action="append", default=[], metavar="NAME[=TEXT]", help="define for the preprocessor"
    )
    parser.add_argument("-march", default="rv64gc", metavar="ISA", help="the instruction set (default: rv64gc)")
    parser.add_argument(
        "-mabi", choices=_ABIS, help="the calling convention; what the assembler writes does not depend on it"
    )
    parser.add_argument("-g", "--gen-debug", dest="debug", action="store_true", help="write line information")
    relax = parser.add_mutually_exclusive_group()
    relax.add_argument(
        "-mno-relax", dest="relax", action="store_false", default=False, help="no linker relaxation (default)"
    )
    relax.add_argument("-mrelax", dest="relax", action="store_true", help="let the linker relax")
    parser.add_argument("--fatal-warnings", action="store_true", help="a warning is an error")
    parser.add_argument("-W", "--no-warn", dest="quiet", action="store_true", help="keep warnings to yourself")
    return parser


def _options(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> AssemblerOptions:
    defines: dict[str, int] = {}
    for definition in arguments.defsym:
        name, equals, value = definition.partition("=")
        try:
            defines[name] = wrap(int(value, 0))
        except ValueError:
            parser.error(f"--defsym {definition}: expected SYM=VALUE with a number")
        if not name or not equals:
            parser.error(f"--defsym {definition}: expected SYM=VALUE")
    macros = {
        name: value if equals else "1" for name, equals, value in (text.partition("=") for text in arguments.macros)
    }
    return AssemblerOptions(
        include_dirs=tuple(Path(directory) for directory in arguments.include),
        defines=defines,
        debug=arguments.debug,
        march=arguments.march,
        macros=macros,
        relax=arguments.relax,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status, 1 after an error in the source, 2 after one in the arguments."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    options = _options(arguments, parser)
    warnings: list[Diagnostic] = []
    try:
        obj = _assemble(arguments.source, options, warnings)
    except AssemblyError as error:
        _print(error)
        return 1
    if not arguments.quiet:
        for warning in warnings:
            _print(warning)
    if arguments.fatal_warnings and any(warning.severity == "warning" for warning in warnings):
        _print(f"ekernel as: {arguments.source}: warnings are errors here (--fatal-warnings): nothing written")
        return 1
    try:
        write_whole(arguments.output, write_object(obj))
    except BrokenPipeError:  # whoever read the output has gone
        raise
    except (OSError, ValueError) as error:
        _print(f"ekernel as: cannot write '{arguments.output}': {getattr(error, 'strerror', None) or error}")
        return 1
    return 0


def _assemble(source: str, options: AssemblerOptions, warnings: list[Diagnostic]) -> ObjectFile:
    if source == "-":
        content = sys.stdin.buffer.read(MAX_SOURCE + 1)
        if len(content) > MAX_SOURCE:
            raise AssemblyError([Diagnostic(f"standard input does not end within {MAX_SOURCE >> 20} MiB")])
        text = content.decode("utf-8", "surrogateescape")
        return assemble(text, name="{standard input}", options=options, on_warning=warnings.append)
    if not source:
        raise AssemblyError([Diagnostic("which file? The word is empty", Location("''"))])
    return assemble_file(Path(source), options, on_warning=warnings.append)


def _print(message: object) -> None:
    text = f"{message}\n"
    sys.stderr.write(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


if __name__ == "__main__":
    sys.exit(main())
