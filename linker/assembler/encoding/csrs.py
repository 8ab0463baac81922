"""CSR names and numbers (privileged manual, chapter "CSR Listing"; the manuals of debugging, vectors, AIA)."""

_UNPRIVILEGED = {
    "fflags": 0x001, "frm": 0x002, "fcsr": 0x003, "seed": 0x015,
    "vstart": 0x008, "vxsat": 0x009, "vxrm": 0x00A, "vcsr": 0x00F, "vl": 0xC20, "vtype": 0xC21, "vlenb": 0xC22,
    "cycle": 0xC00, "time": 0xC01, "instret": 0xC02, "cycleh": 0xC80, "timeh": 0xC81, "instreth": 0xC82,
}  # fmt: skip

_SUPERVISOR = {
    "sstatus": 0x100, "sie": 0x104, "stvec": 0x105, "scounteren": 0x106, "senvcfg": 0x10A,
    "sscratch": 0x140, "sepc": 0x141, "scause": 0x142, "stval": 0x143, "sip": 0x144,
    "stimecmp": 0x14D, "stimecmph": 0x15D, "satp": 0x180, "scontext": 0x5A8, "scountovf": 0xDA0,
    "sstateen0": 0x10C, "sstateen1": 0x10D, "sstateen2": 0x10E, "sstateen3": 0x10F,
}  # fmt: skip

_HYPERVISOR = {
    "hstatus": 0x600, "hedeleg": 0x602, "hideleg": 0x603, "hie": 0x604, "hcounteren": 0x606, "hgeie": 0x607,
    "hip": 0x644, "hvip": 0x645, "htval": 0x643, "htinst": 0x64A, "hgeip": 0xE12,
    "henvcfg": 0x60A, "henvcfgh": 0x61A, "hgatp": 0x680, "hcontext": 0x6A8,
    "htimedelta": 0x605, "htimedeltah": 0x615,
    "vsstatus": 0x200, "vsie": 0x204, "vstvec": 0x205, "vsscratch": 0x240, "vsepc": 0x241, "vscause": 0x242,
    "vstval": 0x243, "vsip": 0x244, "vstimecmp": 0x24D, "vstimecmph": 0x25D, "vsatp": 0x280,
    **{f"hstateen{n}": 0x60C + n for n in range(4)}, **{f"hstateen{n}h": 0x61C + n for n in range(4)},
}  # fmt: skip

_MACHINE = {
    "mvendorid": 0xF11, "marchid": 0xF12, "mimpid": 0xF13, "mhartid": 0xF14, "mconfigptr": 0xF15,
    "mstatus": 0x300, "misa": 0x301, "medeleg": 0x302, "mideleg": 0x303, "mie": 0x304, "mtvec": 0x305,
    "mcounteren": 0x306, "mstatush": 0x310,
    "mscratch": 0x340, "mepc": 0x341, "mcause": 0x342, "mtval": 0x343, "mip": 0x344, "mtinst": 0x34A, "mtval2": 0x34B,
    "menvcfg": 0x30A, "menvcfgh": 0x31A, "mseccfg": 0x747, "mseccfgh": 0x757,
    "mcycle": 0xB00, "minstret": 0xB02, "mcycleh": 0xB80, "minstreth": 0xB82, "mcountinhibit": 0x320,
    **{f"mstateen{n}": 0x30C + n for n in range(4)}, **{f"mstateen{n}h": 0x31C + n for n in range(4)},
}  # fmt: skip

_ADVANCED_INTERRUPTS = {
    "miselect": 0x350, "mireg": 0x351, "mtopei": 0x35C, "mtopi": 0xFB0, "mvien": 0x308, "mvip": 0x309,
    "midelegh": 0x313, "mieh": 0x314, "mvienh": 0x318, "mviph": 0x319, "miph": 0x354,
    "siselect": 0x150, "sireg": 0x151, "stopei": 0x15C, "stopi": 0xDB0, "sieh": 0x114, "siph": 0x154,
    "hvien": 0x608, "hvictl": 0x609, "hviprio1": 0x646, "hviprio2": 0x647, "hidelegh": 0x613, "hvienh": 0x618,
    "hviph": 0x655, "hviprio1h": 0x656, "hviprio2h": 0x657,
    "vsiselect": 0x250, "vsireg": 0x251, "vstopei": 0x25C, "vstopi": 0xEB0, "vsieh": 0x214, "vsiph": 0x254,
}  # fmt: skip
"""Advanced Interrupt Architecture, table "Machine-level CSRs added for AIA" and those for the other levels."""

_DEBUG = {
    "tselect": 0x7A0, "tdata1": 0x7A1, "tdata2": 0x7A2, "tdata3": 0x7A3, "tinfo": 0x7A4, "tcontrol": 0x7A5,
    "mcontext": 0x7A8, "mscontext": 0x7AA,
    "dcsr": 0x7B0, "dpc": 0x7B1, "dscratch0": 0x7B2, "dscratch1": 0x7B3,
    **dict.fromkeys(("mcontrol", "mcontrol6", "icount", "itrigger", "etrigger", "tmexttrigger"), 0x7A1),
    **dict.fromkeys(("textra32", "textra64"), 0x7A3),
}  # fmt: skip

_COUNTERS = (
    {f"hpmcounter{n}": 0xC00 + n for n in range(3, 32)}
    | {f"hpmcounter{n}h": 0xC80 + n for n in range(3, 32)}
    | {f"mhpmcounter{n}": 0xB00 + n for n in range(3, 32)}
    | {f"mhpmcounter{n}h": 0xB80 + n for n in range(3, 32)}
    | {f"mhpmevent{n}": 0x320 + n for n in range(3, 32)}
    | {f"mhpmevent{n}h": 0x720 + n for n in range(3, 32)}
)

_PROTECTION = {f"pmpcfg{n}": 0x3A0 + n for n in range(16)} | {f"pmpaddr{n}": 0x3B0 + n for n in range(64)}

_OLD_NAMES = {
    "sptbr": 0x180, "sbadaddr": 0x143, "mbadaddr": 0x343, "mucounteren": 0x320, "dscratch": 0x7B2,
    "ustatus": 0x000, "uie": 0x004, "utvec": 0x005, "uscratch": 0x040, "uepc": 0x041, "ucause": 0x042,
    "utval": 0x043, "ubadaddr": 0x043, "uip": 0x044, "sedeleg": 0x102, "sideleg": 0x103,
    "mbase": 0x380, "mbound": 0x381, "mibase": 0x382, "mibound": 0x383, "mdbase": 0x384, "mdbound": 0x385,
    "mscounteren": 0x321, "mhcounteren": 0x322,
}  # fmt: skip
"""Names of older versions of the manuals that people's sources still use."""

CSRS: dict[str, int] = (
    _UNPRIVILEGED | _SUPERVISOR | _HYPERVISOR | _MACHINE | _ADVANCED_INTERRUPTS | _DEBUG | _COUNTERS | _PROTECTION
    | _OLD_NAMES
)  # fmt: skip
"""Every CSR by name: those of the ratified manuals, of version 1.9.1 to 1.12 of the privileged one, and of RV32."""
