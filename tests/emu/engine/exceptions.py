"""The function that gets a core's exceptions, on one of the two processors, with a core's words in its memory."""

import struct

import unicorn

from emu.engine import native
from emu.engine.calls.alone import EXCEPTION
from tests.emu.engine.hosts import HOSTS

CODE, STACK, DATA, MODEL, TABLE, RETURN = range(0x10_0000, 0x70_0000, 0x10_0000)
WORDS, SLOT_WORDS, STATE, KNOWN, PYTHON = range(DATA, DATA + 0x5000, 0x1000)


class Processor:
    """One of the two processors, with a core's words in its memory."""

    def __init__(self, architecture: str) -> None:
        self.host = host = HOSTS[architecture]
        self.core = core = unicorn.Uc(*host.engine)
        for base, size in (
            (CODE, 0x1000), (STACK, 0x1000), (DATA, 0x5000), (MODEL, 0x8000), (TABLE, 0x8_0000), (RETURN, 0x1000),
        ):  # fmt: skip
            core.mem_map(base, size)
        core.mem_write(CODE, native.assemble(EXCEPTION, architecture))
        core.mem_write(PYTHON, host.returning)
        core.hook_add(unicorn.UC_HOOK_CODE, lambda *_: self.asked.append(1), begin=PYTHON, end=PYTHON)
        self.asked: list[int] = []

    def put(self, address: int, *values: int) -> None:
        """Write words."""
        self.core.mem_write(address, struct.pack(f"<{len(values)}Q", *values))

    def get(self, address: int) -> int:
        """Read a word."""
        return int.from_bytes(self.core.mem_read(address, 8), "little")

    def raise_exception(self, number: int) -> bool:
        """Whether Python was asked."""
        self.asked.clear()
        self.host.call(self.core, CODE, RETURN, STACK + 0x800, (0x1234, number, WORDS))
        if self.asked:  # with what it is to get
            got = [self.core.reg_read(register) for register in self.host.arguments[1:2]]
            assert got == [number]
        return bool(self.asked)
