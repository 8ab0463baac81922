"""RISC-V directives: `.option`, `.attribute`, `.insn` (GNU as manual, "RISC-V Directives")."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from linker.assembler.diagnostics import StatementError
from linker.assembler.directives import Directive
from linker.assembler.directives.arguments import fields, one_string
from linker.assembler.directives.insn import insn
from linker.assembler.isa import InstructionSet

if TYPE_CHECKING:
    from linker.assembler.state import Assembly


def _option(assembly: "Assembly", text: str) -> None:
    word, _, rest = text.partition(",")
    word = word.strip()
    modes = assembly.modes
    match word:
        case "rvc":
            assembly.set_isa(modes.isa.adding("c"))
        case "norvc":
            assembly.set_isa(modes.isa.removing("c"))
        case "relax" | "norelax":
            assembly.set_modes(replace(modes, relax=word == "relax"))
        case "pic" | "nopic":
            assembly.set_modes(replace(modes, position_independent=word == "pic"))
        case "push":
            assembly.modes_stack.append(modes)
        case "pop":
            if not assembly.modes_stack:
                raise StatementError("'.option pop' without '.option push' before it", word)
            assembly.set_modes(assembly.modes_stack.pop())
        case "arch":
            _arch(assembly, rest)
        case "csr-check" | "no-csr-check":
            pass  # CSRs are not checked against privileged versions here
        case _:
            raise StatementError(
                f"unknown option {word!r}",
                word,
                "known: rvc, norvc, relax, norelax, pic, nopic, push, pop, arch, csr-check, no-csr-check",
            )


def _arch(assembly: "Assembly", text: str) -> None:
    isa = assembly.modes.isa
    for part in (part.strip() for part in text.split(",")):
        name = re.sub(r"\d+p\d+$", "", part.lstrip("+-=").strip())
        try:
            if part.startswith("+"):
                isa = isa.adding(name)
            elif part.startswith("-"):
                isa = isa.removing(name)
            else:
                isa = InstructionSet.parse(part.lstrip("=").strip())
        except ValueError as error:
            raise StatementError(str(error), part) from None
    assembly.set_isa(isa)


_TAGS = {
    "stack_align": 4, "arch": 5, "unaligned_access": 6, "priv_spec": 8, "priv_spec_minor": 10, "priv_spec_revision": 12,
}  # fmt: skip
"""psABI, "Attributes"."""
_BEFORE_INSTRUCTIONS = (5, 8, 10, 12)


def _attribute(assembly: "Assembly", text: str) -> None:
    key, value = fields(text, 2, 2, ".attribute tag, value")
    tag = _TAGS.get(key.lower().removeprefix("tag_riscv_"))
    if tag is None:
        tag = assembly.absolute(key)
    if tag in _BEFORE_INSTRUCTIONS and assembly.has_instructions:
        raise StatementError(f"attribute {key!r} comes behind instructions", key, "put it before the first instruction")
    if not value.startswith('"'):
        assembly.attributes[tag] = assembly.absolute(value)
        return
    string = one_string(value)
    if tag == _TAGS["arch"]:
        try:
            isa = InstructionSet.parse(string)
        except ValueError as error:
            raise StatementError(str(error), value) from None
        assembly.set_isa(isa)
        return
    assembly.attributes[tag] = string


DIRECTIVES: dict[str, Directive] = {".option": _option, ".attribute": _attribute, ".insn": insn}
