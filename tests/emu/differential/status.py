"""Bits of `mstatus`, and what may be delegated."""

SIE, MIE, SPIE, MPIE, SPP, MPP_S, MPP_M, MPRV = 1 << 1, 1 << 3, 1 << 5, 1 << 7, 1 << 8, 1 << 11, 3 << 11, 1 << 17
SUM, MXR, TVM, TW, TSR, FS = 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22, 3 << 13
INTERRUPTS = 0x222
DELEGABLE = 0xB1FF
"""All but `ecall` from S mode, by which the handler of S mode reports."""
