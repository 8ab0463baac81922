"""`.reloc`: a relocation that the source asks for by name (GNU as manual, ".reloc")."""

import difflib
from typing import TYPE_CHECKING

from linker.assembler.diagnostics import StatementError
from linker.assembler.directives import Directive
from linker.assembler.directives.arguments import fields
from linker.assembler.program import WrittenRelocation
from linker.objects.riscv import R

if TYPE_CHECKING:
    from linker.assembler.state import Assembly

_GENERIC = {"BFD_RELOC_NONE": R.NONE, "BFD_RELOC_32": R.ABS32, "BFD_RELOC_64": R.ABS64}
_TYPES = {kind.elf_name: kind for kind in R} | _GENERIC


def _reloc(assembly: "Assembly", text: str) -> None:
    offset, name, value = fields(text, 2, 3, ".reloc offset, R_RISCV_type[, expression]")
    kind = _TYPES.get(name.upper())
    if kind is None:
        close = difflib.get_close_matches(name.upper(), _TYPES, n=1)
        raise StatementError(
            f"unknown relocation {name!r}", name, f"did you mean {close[0]!r}?" if close else "the psABI lists them"
        )
    written = WrittenRelocation(
        assembly.section, assembly.value(offset), kind, assembly.value(value) if value else None, assembly.mark
    )
    assembly.written_relocations.append(written)


DIRECTIVES: dict[str, Directive] = {".reloc": _reloc}
