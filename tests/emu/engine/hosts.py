"""Both kinds of hosts as Unicorn has them: their registers, and native code called as their conventions say."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import unicorn
from unicorn import arm64_const, x86_const

JUNK = 0xBAD0_BAD0_BAD0_BAD0


@dataclass(frozen=True)
class Host:
    """What a calling convention says, and how to say it to Unicorn."""

    architecture: str
    engine: tuple[int, int]
    arguments: tuple[int, ...]
    """The first five."""
    result: int
    scratch: tuple[int, ...]
    kept: tuple[int, ...]
    state: int
    stack: int
    pc: int
    returning: bytes

    def call(
        self, core: unicorn.Uc, code: int, back: int, stack: int, arguments: Sequence[int],
        *, state: int = JUNK, most: int = 1000,
    ) -> int:  # fmt: skip
        """Call `code` from `back` with a full set of registers, of which it has to leave some alone: its result."""
        for number, register in enumerate((*self.scratch, *self.kept)):
            core.reg_write(register, JUNK + number)
        core.reg_write(self.state, state)
        if self.architecture == "x86_64":
            core.mem_write(stack - 8, struct.pack("<Q", back))
            core.reg_write(self.stack, stack - 8)
        else:
            core.reg_write(arm64_const.UC_ARM64_REG_X30, back)
            core.reg_write(self.stack, stack)
        for register, value in zip(self.arguments, arguments, strict=False):
            core.reg_write(register, value)
        kept = [core.reg_read(register) for register in self.kept]
        core.emu_start(code, back, count=most)
        assert (core.reg_read(self.pc), core.reg_read(self.stack)) == (back, stack)
        assert [core.reg_read(register) for register in self.kept] == kept
        return int(core.reg_read(self.result))

    def called(self, core: unicorn.Uc) -> list[int]:
        """What a function gets that the code calls now: it must have aligned the stack."""
        aligned = core.reg_read(self.stack) + (8 if self.architecture == "x86_64" else 0)
        assert aligned % 16 == 0, "the stack is not aligned at a call"
        return [core.reg_read(register) for register in self.arguments]

    def answer(self, core: unicorn.Uc, result: int) -> None:
        """What such a function leaves: its result, and nothing of what it need not keep."""
        for number, register in enumerate(self.scratch):
            core.reg_write(register, JUNK - number)
        core.reg_write(self.result, result)


def _x86(names: str) -> tuple[int, ...]:
    return tuple(getattr(x86_const, f"UC_X86_REG_{name.upper()}") for name in names.split())


def _arm(numbers: range) -> tuple[int, ...]:
    return tuple(getattr(arm64_const, f"UC_ARM64_REG_X{number}") for number in numbers)


HOSTS = {
    "x86_64": Host(
        "x86_64", (unicorn.UC_ARCH_X86, unicorn.UC_MODE_64), _x86("rdi rsi rdx rcx r8"), *_x86("rax"),
        _x86("rax rdi rsi rdx rcx r8 r9 r10 r11"), _x86("rbx rbp r12 r13 r14 r15"), *_x86("rbp rsp rip"), b"\xc3",
    ),
    "aarch64": Host(
        "aarch64", (unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM), _arm(range(5)), *_arm(range(1)),
        _arm(range(19)), _arm(range(19, 30)), *_arm(range(19, 20)), arm64_const.UC_ARM64_REG_SP,
        arm64_const.UC_ARM64_REG_PC, bytes.fromhex("c0035fd6"),
    ),
}  # fmt: skip
