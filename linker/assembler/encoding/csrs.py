"""CSR names and numbers (privileged manual, chapter "CSR Listing"; debug specification for the last group)."""

_UNPRIVILEGED = {
    "fflags": 0x001, "frm": 0x002, "fcsr": 0x003,
    "cycle": 0xC00, "time": 0xC01, "instret": 0xC02,
}  # fmt: skip

_SUPERVISOR = {
    "sstatus": 0x100, "sie": 0x104, "stvec": 0x105, "scounteren": 0x106, "senvcfg": 0x10A,
    "sscratch": 0x140, "sepc": 0x141, "scause": 0x142, "stval": 0x143, "sip": 0x144, "stimecmp": 0x14D,
    "satp": 0x180, "scontext": 0x5A8,
    "sstateen0": 0x10C, "sstateen1": 0x10D, "sstateen2": 0x10E, "sstateen3": 0x10F,
}  # fmt: skip

_HYPERVISOR = {
    "hstatus": 0x600, "hedeleg": 0x602, "hideleg": 0x603, "hie": 0x604, "hcounteren": 0x606, "hgeie": 0x607,
    "hip": 0x644, "hvip": 0x645, "htval": 0x643, "htinst": 0x64A, "hgeip": 0xE12,
    "henvcfg": 0x60A, "henvcfgh": 0x61A, "hgatp": 0x680, "hcontext": 0x6A8,
    "htimedelta": 0x605, "htimedeltah": 0x615,
    "vsstatus": 0x200, "vsie": 0x204, "vstvec": 0x205, "vsscratch": 0x240, "vsepc": 0x241, "vscause": 0x242,
    "vstval": 0x243, "vsip": 0x244, "vstimecmp": 0x24D, "vsatp": 0x280,
    "hstateen0": 0x60C, "hstateen1": 0x60D, "hstateen2": 0x60E, "hstateen3": 0x60F,
}  # fmt: skip
_MACHINE = {
    "mvendorid": 0xF11, "marchid": 0xF12, "mimpid": 0xF13, "mhartid": 0xF14, "mconfigptr": 0xF15,
    "mstatus": 0x300, "misa": 0x301, "medeleg": 0x302, "mideleg": 0x303, "mie": 0x304, "mtvec": 0x305,
    "mcounteren": 0x306, "mstatush": 0x310,
    "mscratch": 0x340, "mepc": 0x341, "mcause": 0x342, "mtval": 0x343, "mip": 0x344, "mtinst": 0x34A, "mtval2": 0x34B,
    "menvcfg": 0x30A, "menvcfgh": 0x31A, "mseccfg": 0x747, "mseccfgh": 0x757,
    "mcycle": 0xB00, "minstret": 0xB02, "mcountinhibit": 0x320,
    "mstateen0": 0x30C, "mstateen1": 0x30D, "mstateen2": 0x30E, "mstateen3": 0x30F,
}  # fmt: skip

_DEBUG = {
    "tselect": 0x7A0, "tdata1": 0x7A1, "tdata2": 0x7A2, "tdata3": 0x7A3, "tinfo": 0x7A4, "tcontrol": 0x7A5,
    "mcontext": 0x7A8, "mscontext": 0x7AA,
    "dcsr": 0x7B0, "dpc": 0x7B1, "dscratch0": 0x7B2, "dscratch1": 0x7B3,
}  # fmt: skip

_COUNTERS = (
    {f"hpmcounter{n}": 0xC00 + n for n in range(3, 32)}
    | {f"mhpmcounter{n}": 0xB00 + n for n in range(3, 32)}
    | {f"mhpmevent{n}": 0x320 + n for n in range(3, 32)}
)

_PROTECTION = {f"pmpcfg{n}": 0x3A0 + n for n in range(16)} | {f"pmpaddr{n}": 0x3B0 + n for n in range(64)}

_OLD_NAMES = {
    "sptbr": 0x180, "sbadaddr": 0x143, "mbadaddr": 0x343, "mucounteren": 0x320, "dscratch": 0x7B2,
    "ustatus": 0x000, "uie": 0x004, "utvec": 0x005, "uscratch": 0x040, "uepc": 0x041, "ucause": 0x042,
    "utval": 0x043, "ubadaddr": 0x043, "uip": 0x044, "sedeleg": 0x102, "sideleg": 0x103,
}  # fmt: skip
"""Names of older versions of the manuals that people's sources still use."""

CSRS: dict[str, int] = (
    _UNPRIVILEGED | _SUPERVISOR | _HYPERVISOR | _MACHINE | _DEBUG | _COUNTERS | _PROTECTION | _OLD_NAMES
)
"""Every CSR of RV64 by name."""
