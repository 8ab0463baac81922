"""Single instructions in assembly language, by Capstone."""

import re
from functools import lru_cache

_COMPRESSED_ACCESS = r"^c\.(f?[ls][wd])(?:sp)?$"
"""Compressed loads and stores, which read better by the name that the programmer wrote."""


def disassemble(code: bytes, address: int) -> str | None:
    """The first instruction of `code` in assembly language; None when there is none.

    >>> disassemble(bytes.fromhex("23300500"), 0x80200000)
    'sd zero, 0(a0)'
    """
    instruction = next(_disassembler().disasm(code, address, count=1), None)
    if instruction is None:
        return None
    mnemonic = re.sub(_COMPRESSED_ACCESS, r"\1", instruction.mnemonic)
    return f"{mnemonic} {instruction.op_str}".rstrip()


@lru_cache(maxsize=1)
def _disassembler():  # type: ignore[no-untyped-def]  # capstone has no annotations
    import capstone

    return capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC)
