"""What the functions for both kinds of hosts know of the core: where its state has what, and what they replace."""

from emu.engine.window import FFLAGS_BYTE, Word
from emu.lateclass import dataclass

MSTATUS, FRM = 8 * Word.MSTATUS, 8 * Word.FRM
STATUS, ROUNDING, FLAGS = FFLAGS_BYTE - 2, FFLAGS_BYTE - 1, FFLAGS_BYTE
"""Byte offsets of softfloat's `float_status`, and in it of the rounding mode and the flags."""
EXPECTED, UPPER = 8 * Word.HTVAL, 8 * Word.HTINST
"""While an instruction of 32 bits is decoded: the address of its upper half, plus 1, and what is to be found there."""
ENGINE, TRANSLATOR, OPERATIONS_MADE = -0xB68, 0x300, 0x38
"""From the core's state to its `uc_struct`, in that to its `TCGContext`, and in that to the count `nb_ops`."""
FULL = 0x1000
"""A bit that makes `nb_ops` more than a block may have (`tcg_op_buf_full` in include/tcg/tcg.h)."""
FS, SD = 0x6000, 1 << 63
INVALID = 1
"""Softfloat's flag."""
MARKED = 5
"""Softfloat's rounding mode while the mark is set: one that RISC-V does not have."""
ROUNDINGS = 0x04_02_01_03_00
"""Softfloat's rounding mode for each of RISC-V's, one in a byte."""
NAN = 0x7FC0_0000
"""The canonical NaN in single precision (section 11.3)."""

RESERVED_0, RESERVED_1 = (0xE003, 0x8000), (0xFC43, 0x9C41)
"""Mask and value of the 16-bit encodings that the core takes for instructions that do nothing, and that are reserved:
quadrant 0 with funct3 4, and the two beside `c.subw` and `c.addw` (unprivileged manual, table 16.5 and 16.6)."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An instruction that is a function in the core: what its name is there, and softfloat's that computes it."""

    name: str
    softfloat: str
    operands: int
    negated: int = 0
    """What a fused instruction negates, in softfloat's bits."""

    @property
    def kind(self) -> str:
        """The mnemonic up to the first dot."""
        return self.name.split("_")[0]

    @property
    def takes_singles(self) -> bool:
        """Whether its operands are single-precision numbers."""
        return self.name.endswith("_s")

    @property
    def gives_single(self) -> bool:
        """Whether its result is one."""
        return not self.gives_integer and self.name.split("_")[1] == "s"

    @property
    def gives_integer(self) -> bool:
        """Whether its result goes to an integer register."""
        return self.kind in ("feq", "flt", "fle") or (self.kind == "fcvt" and self.name.split("_")[1][0] in "wl")

    @property
    def gives_word(self) -> bool:
        """Whether that is a result of 32 bits, to be sign-extended."""
        return self.gives_integer and not (self.kind == "fcvt" and self.name.split("_")[1][0] == "l")
