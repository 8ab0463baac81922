"""The assembler: from GNU assembly text to a relocatable object."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from linker.assembler.files import read_source
from linker.assembler.isa import InstructionSet
from linker.assembler.options import AssemblerOptions
from linker.assembler.output import ObjectBuilder
from linker.assembler.reader import Reader
from linker.assembler.state import Assembly
from linker.assembler.unwind import write_unwind_tables
from linker.errors import AssemblyError, Diagnostic, Location
from linker.objects.model import ObjectFile

Listener = Callable[[Diagnostic], None]

_DEFAULT = AssemblerOptions()


def assemble(
    source: str, *, name: str, options: AssemblerOptions = _DEFAULT, on_warning: Listener | None = None
) -> ObjectFile:
    """Assemble a text.

    Args:
        source: The text, in GNU syntax.
        name: The file it came from, for messages, for files included beside it, and for the object.
        options: What GNU `as` would be told on its command line.
        on_warning: Called with each warning.

    Raises:
        AssemblyError: with all errors of the source.

    >>> obj = assemble("start: li a0, 1", name="start.s")
    >>> bytes(obj.section(".text").data).hex(), obj.symbol("start").value
    ('0545', 0)

    """
    try:
        isa = InstructionSet.parse(options.march)
    except ValueError as error:
        raise AssemblyError([Diagnostic(str(error))]) from None
    if options.preprocess:
        from linker.assembler.preprocess import preprocess

        source = preprocess(source, name, options)
    assembly = Assembly(name, options, isa)
    for symbol, value in options.defines.items():
        assembly.assign(symbol, value)
    Reader(assembly).read(source, name)
    for procedure in assembly.frames.open.values():
        assembly.diagnostics.error("this procedure has no '.cfi_endproc'", procedure.mark)
    assembly.diagnostics.raise_errors()
    write_unwind_tables(assembly, assembly.frames)
    obj = ObjectBuilder(assembly).build()
    if on_warning is not None:
        for warning in assembly.diagnostics.warnings:
            on_warning(warning)
    return obj


def assemble_file(path: Path, options: AssemblerOptions = _DEFAULT, on_warning: Listener | None = None) -> ObjectFile:
    """Assemble a file; `.S` and `.sx` go through the C preprocessor first.

    Raises:
        AssemblyError: with all errors of the source, or when it cannot be read.

    """
    try:
        source = read_source(path)
    except OSError as error:
        raise AssemblyError([Diagnostic(f"cannot read the source: {error.strerror}", Location(str(path)))]) from None
    options = replace(options, preprocess=options.preprocess or path.suffix in (".S", ".sx"))
    return assemble(source, name=str(path), options=options, on_warning=on_warning)
