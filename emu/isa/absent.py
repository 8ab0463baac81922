"""What ratified extensions would add to this core: their instructions and CSRs, to name what is illegal here.

From the encodings of the unprivileged and privileged manuals (riscv-opcodes has them as data).
"""

from functools import lru_cache

from emu.isa.encodings import AMO, FUSED, LOAD_FP, OP_FP, OP_V, OP_VE, OPCODE, STORE_FP

_ROWS: tuple[tuple[str, int, str], ...] = (
    ("Zba", 0xfe00707f, "sh1add 20002033, sh2add 20004033, sh3add 20006033, add.uw 0800003b, sh1add.uw 2000203b"),
    ("Zba", 0xfe00707f, "sh2add.uw 2000403b, sh3add.uw 2000603b"),
    ("Zba", 0xfc00707f, "slli.uw 0800101b"),
    ("Zbb", 0xfe00707f, "andn 40007033, orn 40006033, xnor 40004033, max 0a006033, maxu 0a007033, min 0a004033"),
    ("Zbb", 0xfe00707f, "minu 0a005033, rol 60001033, ror 60005033, rolw 6000103b, rorw 6000503b, roriw 6000501b"),
    ("Zbb", 0xfff0707f, "clz 60001013, ctz 60101013, cpop 60201013, clzw 6000101b, ctzw 6010101b, cpopw 6020101b"),
    ("Zbb", 0xfff0707f, "sext.b 60401013, sext.h 60501013, zext.h 0800403b, orc.b 28705013, rev8 6b805013"),
    ("Zbb", 0xfc00707f, "rori 60005013"),
    ("Zbc", 0xfe00707f, "clmul 0a001033, clmulh 0a003033, clmulr 0a002033"),
    ("Zbs", 0xfe00707f, "bclr 48001033, bext 48005033, binv 68001033, bset 28001033"),
    ("Zbs", 0xfc00707f, "bclri 48001013, bexti 48005013, binvi 68001013, bseti 28001013"),
    ("Zbkb", 0xfe00707f, "pack 08004033, packh 08007033, packw 0800403b"),
    ("Zbkb", 0xfff0707f, "brev8 68705013"),
    ("Zbkx", 0xfe00707f, "xperm4 28002033, xperm8 28004033"),
    ("Zknd", 0xfe00707f, "aes64ds 3a000033, aes64dsm 3e000033, aes64ks2 7e000033"),
    ("Zknd", 0xfff0707f, "aes64im 30001013"),
    ("Zkne", 0xfe00707f, "aes64es 32000033, aes64esm 36000033"),
    ("Zknh", 0xfff0707f, "sha256sig0 10201013, sha256sig1 10301013, sha256sum0 10001013, sha256sum1 10101013"),
    ("Zknh", 0xfff0707f, "sha512sig0 10601013, sha512sig1 10701013, sha512sum0 10401013, sha512sum1 10501013"),
    ("Zksed", 0x3e00707f, "sm4ed 30000033, sm4ks 34000033"),
    ("Zksh", 0xfff0707f, "sm3p0 10801013, sm3p1 10901013"),
    ("Zicbom", 0xfff07fff, "cbo.clean 0010200f, cbo.flush 0020200f, cbo.inval 0000200f"),
    ("Zicboz", 0xfff07fff, "cbo.zero 0040200f"),
    ("Zawrs", 0xffffffff, "wrs.nto 00d00073, wrs.sto 01d00073"),
    ("H", 0xfe007fff, "hfence.vvma 22000073, hfence.gvma 62000073, hsv.b 62004073, hsv.h 66004073, hsv.w 6a004073"),
    ("H", 0xfe007fff, "hsv.d 6e004073"),
    ("H", 0xfff0707f, "hlv.b 60004073, hlv.bu 60104073, hlv.h 64004073, hlv.hu 64104073, hlv.w 68004073"),
    ("H", 0xfff0707f, "hlv.wu 68104073, hlv.d 6c004073, hlvx.hu 64304073, hlvx.wu 68304073"),
    ("Svinval", 0xfe007fff, "sinval.vma 16000073, hinval.vvma 26000073, hinval.gvma 66000073"),
    ("Svinval", 0xffffffff, "sfence.w.inval 18000073, sfence.inval.ir 18100073"),
    ("Zicond", 0xfe00707f, "czero.eqz 0e005033, czero.nez 0e007033"),
    ("Zacas", 0xf800707f, "amocas.w 2800202f, amocas.d 2800302f, amocas.q 2800402f"),
    ("Zimop", 0xb3c0707f, "mop.r 81c04073"),
    ("Zimop", 0xb200707f, "mop.rr 82004073"),
    ("Zcmop", 0xf8ff, "c.mop 6081"),
    ("Zcb", 0xfc03, "c.lbu 8000, c.sb 8800"),
    ("Zcb", 0xfc43, "c.lhu 8400, c.lh 8440, c.sh 8c00"),
    ("Zcb", 0xfc7f, "c.zext.b 9c61, c.sext.b 9c65, c.zext.h 9c69, c.sext.h 9c6d, c.zext.w 9c71, c.not 9c75"),
    ("Zcb", 0xfc63, "c.mul 9c41"),
    ("Zfa", 0xfff0707f, "fli.s f0100053, fli.d f2100053, fcvtmod.w.d c2801053"),
    ("Zfa", 0xfff0007f, "fround.s 40400053, froundnx.s 40500053, fround.d 42400053, froundnx.d 42500053"),
    ("Zfa", 0xfe00707f, "fminm.s 28002053, fmaxm.s 28003053, fminm.d 2a002053, fmaxm.d 2a003053, fleq.s a0004053"),
    ("Zfa", 0xfe00707f, "fltq.s a0005053, fleq.d a2004053, fltq.d a2005053"),
)  # fmt: skip
"""Extension, mask, and each instruction's name with what its bits under the mask are, in hexadecimal."""
_CSRS = {
    "V": {"vstart": 0x008, "vxsat": 0x009, "vxrm": 0x00A, "vcsr": 0x00F, "vl": 0xC20, "vtype": 0xC21, "vlenb": 0xC22},
    "Zkr": {"seed": 0x015},
    "Zcmt": {"jvt": 0x017},
    "Zicfiss": {"ssp": 0x011},
    "N": {
        "ustatus": 0x000, "uie": 0x004, "utvec": 0x005, "uscratch": 0x040, "uepc": 0x041, "ucause": 0x042,
        "utval": 0x043, "uip": 0x044,
    },
    "H": {
        "hstatus": 0x600, "hedeleg": 0x602, "hideleg": 0x603, "hie": 0x604, "htimedelta": 0x605, "hcounteren": 0x606,
        "hgeie": 0x607, "henvcfg": 0x60A, "htval": 0x643, "hip": 0x644, "hvip": 0x645, "htinst": 0x64A,
        "hgatp": 0x680, "hgeip": 0xE12, "vsstatus": 0x200, "vsie": 0x204, "vstvec": 0x205, "vsscratch": 0x240,
        "vsepc": 0x241, "vscause": 0x242, "vstval": 0x243, "vsip": 0x244, "vstimecmp": 0x24D, "vsatp": 0x280,
        "mtinst": 0x34A, "mtval2": 0x34B,
    },
    "Smstateen": {
        **{f"mstateen{n}": 0x30C + n for n in range(4)}, **{f"sstateen{n}": 0x10C + n for n in range(4)},
        **{f"hstateen{n}": 0x60C + n for n in range(4)},
    },
    "Smepmp": {"mseccfg": 0x747},
    "Sscofpmf": {"scountovf": 0xDA0},
    "Smrnmi": {"mnscratch": 0x740, "mnepc": 0x741, "mncause": 0x742, "mnstatus": 0x744},
    "Smaia": {
        "miselect": 0x350, "mireg": 0x351, "mtopei": 0x35C, "mtopi": 0xFB0, "mvien": 0x308, "mvip": 0x309,
        "siselect": 0x150, "sireg": 0x151, "stopei": 0x15C, "stopi": 0xDB0,
    },
    "Sdtrig": {"tinfo": 0x7A4, "tcontrol": 0x7A5, "mcontext": 0x7A8, "scontext": 0x5A8},
    "RV32": {
        "cycleh": 0xC80, "timeh": 0xC81, "instreth": 0xC82, "mcycleh": 0xB80, "minstreth": 0xB82, "mstatush": 0x310,
        "menvcfgh": 0x31A, "pmpcfg1": 0x3A1, "pmpcfg3": 0x3A3,
    },
}  # fmt: skip
_VECTOR_WIDTHS = (0, 5, 6, 7)
_OTHER_FORMATS = {2: ("a half-precision instruction", "Zfh"), 3: ("a quad-precision instruction", "Q")}


def absent_instruction(instruction: int) -> tuple[str, str] | None:
    """The name (or a description) and the extension of an instruction that other RISC-V cores have.

    >>> absent_instruction(0x20C5A533), absent_instruction(0x0D007057), absent_instruction(0x00000013)
    (('sh1add', 'Zba'), ('a vector instruction', 'V'), None)
    """
    if instruction & 3 != 3:
        instruction &= 0xFFFF
    for mask, names in _by_mask().items():
        is_compressed = mask < 1 << 16
        if is_compressed == (instruction & 3 != 3) and (found := names.get(instruction & mask)):
            return found
    return None if instruction & 3 != 3 else _family(instruction)


def absent_csr(number: int) -> tuple[str, str] | None:
    """The name and the extension of a CSR that other RISC-V cores have.

    >>> absent_csr(0xC22), absent_csr(0x7C0)
    (('vlenb', 'V'), None)
    """
    return _csrs().get(number)


def _family(instruction: int) -> tuple[str, str] | None:
    """Extensions of which an opcode or a field tells enough."""
    opcode, width = instruction & OPCODE, instruction >> 12 & 7
    if opcode in (LOAD_FP, STORE_FP):
        if width in _VECTOR_WIDTHS:
            return ("a vector load" if opcode == LOAD_FP else "a vector store", "V")
        verb = "fl" if opcode == LOAD_FP else "fs"
        return {1: (f"{verb}h", "Zfh"), 4: (f"{verb}q", "Q")}.get(width)
    if opcode == OP_V:
        return "a vector instruction", "V"
    if opcode == OP_VE:
        return "a vector cryptography instruction", "Zvk"
    if opcode == OP_FP or opcode in FUSED:
        return _OTHER_FORMATS.get(instruction >> 25 & 3)
    if opcode == AMO and width in (0, 1):
        return "an atomic instruction on a byte or halfword", "Zabha"
    return None


@lru_cache(maxsize=1)
def _by_mask() -> dict[int, dict[int, tuple[str, str]]]:
    """Masks with more bits first: what fixes more bits is the more particular instruction."""
    table: dict[int, dict[int, tuple[str, str]]] = {}
    for extension, mask, text in sorted(_ROWS, key=lambda row: -row[1].bit_count()):
        for entry in text.split(", "):
            name, bits = entry.split()
            table.setdefault(mask, {})[int(bits, 16)] = name, extension
    return table


@lru_cache(maxsize=1)
def _csrs() -> dict[int, tuple[str, str]]:
    return {number: (name, extension) for extension, names in _CSRS.items() for name, number in names.items()}
