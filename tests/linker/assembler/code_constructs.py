"""More of the code that real `.S` files are made of: patched alternatives, addresses, short forms, unwind tables."""

# ruff: noqa: E501  a kind of statement, however long, is a line

from typing import Protocol


class Words(Protocol):
    """What a construct takes from the composer."""

    constants: list[str]
    labels: list[str]
    code: bool
    data: bool

    def pick(self, *choices: str) -> str: ...
    def below(self, number: int) -> int: ...
    def new(self, stem: str) -> str: ...
    def x(self) -> str: ...
    def f(self) -> str: ...
    def label(self) -> str: ...
    def number(self) -> str: ...
    def large(self) -> str: ...
    def small(self) -> str: ...
    def body(self, count: int) -> None: ...
    def enter_code(self) -> None: ...
    def enter_data(self) -> None: ...
    def put(self, *lines: str) -> None: ...


def alternative(c: Words) -> None:
    """Code that another one replaces at boot, the shorter padded to the longer."""
    c.enter_code()
    old, new = c.pick("nop", "nop\nnop", "mv a0, a1", "fence.i"), c.pick("nop", "sfence.vma\nnop", "li a0, 5", "wfi")
    c.put(
        "886:",
        ".option push",
        c.pick(".option norvc", ".option rvc", ""),
        ".option norelax",
        old,
        ".option pop",
        "887:",
    )
    c.put(
        '.pushsection .alternative, "a"',
        ".4byte 886b - .",
        ".4byte 888f - .",
        f".2byte {c.small()}, 889f - 888f",
        ".popsection",
    )
    c.put(".subsection 1", "888:", ".option push", ".option norvc", ".option norelax", new, ".option pop", "889:")
    c.put(c.pick(".org . - (889b - 888b) + (887b - 886b)", ""), c.pick(".org . - (887b - 886b) + (889b - 888b)", ""))
    c.put(".previous")


def addresses(c: Words) -> None:
    """Addresses by their upper and lower parts, with the pairs that belong together."""
    c.enter_code()
    x, y, n = c.x(), c.x(), c.below(3) + 1
    high = c.pick("pcrel_hi", "pcrel_hi", "got_pcrel_hi", "tls_ie_pcrel_hi", "tls_gd_pcrel_hi")
    name = c.pick(f"{n}", c.new(".Lhigh"))
    use = f"{n}b" if name.isdigit() else name
    c.put(f"{name}: auipc {x}, %{high}({c.label()}{c.pick('', '+8', ' - 4')})")
    c.put(
        c.pick(
            f"addi {y}, {x}, %pcrel_lo({use})",
            f"ld {y}, %pcrel_lo({use})({x})",
            f"sd {y}, %pcrel_lo({use})({x})",
            f"jalr {y}, %pcrel_lo({use})({x})",
            f"fld {c.f()}, %pcrel_lo({use})({x})",
            f"sb x0, %pcrel_lo({use})({x})",
        )
    )
    c.put(
        c.pick(
            f"la.tls.ie {x}, {c.label()}",
            f"lga {x}, {c.label()}",
            f"jump {c.label()}, t1",
            f"call t0, {c.label()}",
            f"call {c.label()}@plt",
            f"tail {c.label()}@plt",
            f"fld {c.f()}, {c.label()}, t0",
            f"fsw {c.f()}, {c.label()}, {x}",
            f"lbu {x}, {c.label()}+1",
            f"jal {c.label()}@plt" if c.below(9) == 0 else "ret",
            f"la {x}, {c.number()}",
            f"la {x}, .",
            f"lla {x}, {n}f\n{n}:",
            f"lwu {x}, {c.label()}",
            f"sh {y}, {c.label()}, t6",
        )
    )


def short_forms(c: Words) -> None:
    """Compressed instructions by name, pseudo-instructions, and forms with operands left out."""
    c.enter_code()
    x, y = c.x(), c.x()
    small = c.pick("s0", "s1", "a0", "a3", "a5")
    for _ in range(c.below(5) + 1):
        c.put("    " + c.pick(
            f"c.li {x}, {c.below(31)}", f"c.mv {x}, a1", f"c.add {x}, a2", f"c.lui a3, {c.below(31) + 1}", f"c.addi16sp sp, {16 * (c.below(30) + 1)}",
            f"c.addi4spn {small}, sp, {4 * (c.below(200) + 1)}", f"c.ldsp ra, {8 * c.below(60)}(sp)", f"c.sdsp {x}, {8 * c.below(60)}(sp)", f"c.ld {small}, {8 * c.below(30)}({small})",
            f"c.sw {small}, {4 * c.below(30)}({small})", f"c.slli a4, {c.below(62) + 1}", f"c.srai {small}, {c.below(62) + 1}", f"c.andi {small}, {c.below(31)}", f"c.sub {small}, a1",
            f"c.subw {small}, s1", f"c.beqz {small}, {c.label()}", f"c.bnez {small}, {c.label()}", f"c.j {c.label()}", "c.jr ra", "c.jalr a0", "c.ebreak", "c.unimp", "c.addiw a1, -3",
            f"c.fld fa0, 8({small})", f"c.fsdsp {c.f()}, 16(sp)", f"c.fldsp {c.f()}, 24(sp)", "c.nop 5", "c.addi16sp sp, -64", f"c.xor {small}, a0",
            f"add {x}, {y}, {c.below(2047)}", f"and {x}, {x}, -1", f"or {x}, {y}, 0x7f", f"sll {x}, {y}, {c.below(64)}", f"srl {x}, {x}, 1", f"slt {x}, {y}, 5", f"addw {x}, {y}, 1",
            f"sgtz {x}, {y}", f"sltz {x}, {y}", f"snez {x}, {y}", f"negw {x}, {y}", f"sext.b {x}, {y}", f"sext.h {x}, {y}", f"zext.b {x}, {y}", f"zext.w {x}, {y}", f"sgt {x}, {y}, {x}", f"sgtu {x}, {y}, {y}",
            f"rdcycle {x}", f"rdtime {x}", f"rdinstret {x}", f"frflags {x}", f"fsflags {y}", f"fscsr {x}, {y}", f"frrm {x}", f"fsrmi {c.below(8)}", f"fsflagsi {x}, 1", f"csrwi sscratch, {c.below(32)}",
            f"csrr {x}, {c.below(4096)}", f"csrw 0x{c.below(4096):x}, {x}", f"csrrwi {x}, mie, 8", f"csrs mip, {x}", f"csrw mtvec, {c.below(31)}", f"csrc sie, {c.below(32)}", f"csrrs {x}, mcause, x0",
            "fence", "fence.tso", "pause", "fence io, rw", "fence 0, 0" if c.below(9) == 0 else "fence w,w", f"sfence.vma {x}", "sfence.vma zero, zero", "sbreak", "scall", "ebreak", "dret", "uret" if c.below(9) == 0 else "mret",
            f"jr 8({x})", f"jalr {x}, {y}", f"jalr ra, {y}, 4", f"jalr {x}, 8", f"jalr zero, {c.below(99)}({x})", f"jr {x}, 16", f"jalr {y}, 0", f"jal ra, {c.label()}", "jal x0, .", "j .", "beqz a0, . + 8", f"bgtz {x}, {c.label()} + 4",
            f"lr.d.aq {x}, 0({y})", f"sc.w.rl {x}, {y}, 0(a0)", f"amoswap.d.rl {x}, {y}, 0(a1)", f"amominu.w {x}, {y}, ({y})", "lr.w.aqrl t0, (a0)",
            f"fmv.d {c.f()}, {c.f()}", f"fneg.s {c.f()}, {c.f()}", f"fabs.d {c.f()}, {c.f()}", f"fadd.d {c.f()}, {c.f()}, {c.f()}, rtz", f"fsqrt.s {c.f()}, {c.f()}", f"fcvt.d.l {c.f()}, {x}", f"fcvt.lu.s {x}, {c.f()}, rup", f"fcvt.s.d {c.f()}, {c.f()}",
            f"fcvt.d.s {c.f()}, {c.f()}", f"fmv.w.x {c.f()}, {x}", f"fmv.x.s {x}, {c.f()}", f"feq.d {x}, {c.f()}, {c.f()}", f"fgt.s {x}, {c.f()}, {c.f()}", f"fclass.d {x}, {c.f()}", f"fnmsub.s {c.f()}, {c.f()}, {c.f()}, {c.f()}, rdn", f"flw {c.f()}, ({x})", f"fsgnjx.d {c.f()}, {c.f()}, {c.f()}",
            f"fcvt.d.w {c.f()}, {x}", f"fcvt.w.s {x}, {c.f()}", f"fld {c.f()}, 2040({x})", f"fmin.s {c.f()}, {c.f()}, {c.f()}",
            f"li {x}, 'A'", f"li {x}, -1", f"li {x}, 0x8000000000000000", f"li {x}, 0xffffffff", f"li {x}, (1 << 63) | 1", f"li {x}, {c.large()}", f"li {x}, 0b1011", f"li {x}, 0777", f"li {x}, {c.number()} - {c.small()}", f"lui {x}, (0x80200000 >> 12) & 0xfffff",
            f"addi {x}, {x}, ~7", f"addi {x}, {x}, -(8 * {c.small()})", "andi sp, sp, -16", f"li {x}, !{c.small()}", f"addi {x}, {y}, {c.small()} == {c.small()}", f"slli {x}, {y}, 1 + {c.below(8)}", f"ld {x}, 8 * {c.small()} + 8({y})", f"sd {x}, ({c.small()} + 1) * 8(sp)", f"lw {x}, -{c.small()}({y})",
            f"ld {x}, {c.small()}({y}) ", f"LD {x}, 0(sp)", f"Addi {x}, {x}, 1", f"lw {x},({y})", f"mul {x},{x},{y}", f"  add\t{x} , {y} ,{x}", f"remuw {x}, {y}, {x}", f"mulhsu {x}, {x}, {y}", f"divw {x}, {y}, {y}", "nop; nop ;nop",
        ))  # fmt: skip


def fields(c: Words) -> None:
    """`.insn` in all its formats, and instructions as numbers."""
    c.enter_code()
    x, y = c.x(), c.x()
    for _ in range(c.below(4) + 1):
        c.put("    " + c.pick(
            f".insn r 0x{c.below(31) * 4 + 3:x}, {c.below(8)}, {c.below(128)}, {x}, {y}, {x}", f".insn r CUSTOM_0, 1, 2, {x}, {y}, {x}", f".insn r4 MADD, 0, 1, {x}, {y}, {x}, {y}", f".insn r OP, 0, 1, {x}, {c.f()}, {y}", f".insn r MADD, 0, 1, {x}, {y}, {x}, {y}",
            f".insn i OP_IMM, {c.below(8)}, {x}, {y}, {c.below(2047)}", f".insn i LOAD, 3, {x}, {c.below(2047)}({y})", f".insn i 0x{c.below(31) * 4 + 3:x}, 2, {x}, 4({y})", f".insn s STORE, 3, {x}, {c.below(2047)}({y})", f".insn s 0x23, 0, {x}, -1({y})", f".insn i 0x13, 0, {x}, {y}, -{c.small()}",
            f".insn sb BRANCH, 1, {x}, {y}, {c.label()}", f".insn b BRANCH, 0, {x}, {y}, {c.label()}", f".insn u LUI, {x}, 0x{c.below(1 << 20):x}", f".insn u AUIPC, {x}, {c.below(1000)}", f".insn uj JAL, {x}, {c.label()}", f".insn j 0x6f, x0, {c.label()}",
            f".insn cr C2, 8, {x}, {y}", f".insn ci C1, 2, {x}, {c.below(31)}", f".insn ciw C0, 0, a0, {c.below(200)}", ".insn cl C0, 3, a0, 8(a1)", ".insn cs C0, 7, a0, 8(a1)", f".insn cb C1, 6, a0, {c.label()}", f".insn cj C1, 5, {c.label()}", ".insn ca C1, 35, 0, a0, a1", f".insn css C2, 7, {x}, 16",
            f".insn 0x{c.below(1 << 30) * 4 + 3:x}" if c.below(2) else f".insn 4, 0x{c.below(1 << 24) * 128 + 0x13:x}", f".insn 2, 0x{c.below(1 << 14) * 4 + 1:x}", ".insn 0x0001", f".insn r 0x33, {c.small()} & 7, 1, {x}, {y}, {x}", ".insn s SYSTEM, 1, t0, 0(t1)", ".insn 0x00000013", ".2byte 0x0001", ".half 0x9002",
        ))  # fmt: skip


def unwind(c: Words) -> None:
    """A function with unwind entries of every kind."""
    c.enter_code()
    name = c.new("unwound")
    c.labels.append(name)
    c.put(
        c.pick("", "", ".cfi_sections .eh_frame, .debug_frame", ".cfi_sections .debug_frame") if c.below(6) == 0 else ""
    )
    c.put(f"{name}:", c.pick(".cfi_startproc", ".cfi_startproc", ".cfi_startproc simple"))
    if c.below(8) == 0:
        c.put(f".cfi_personality 0x1b, {c.label()}", ".cfi_lsda 0x1b, later")
    for _ in range(c.below(7) + 1):
        c.body(c.below(3))
        c.put(c.pick(
            f".cfi_def_cfa_offset {16 * c.below(70)}", f".cfi_offset {c.x()}, -{8 * (c.below(20) + 1)}", f".cfi_def_cfa s0, {8 * c.below(30)}", ".cfi_def_cfa_register s0", f".cfi_adjust_cfa_offset {16 * c.below(9)}",
            ".cfi_remember_state\n.cfi_restore_state", f".cfi_restore {c.x()}", f".cfi_same_value {c.x()}", ".cfi_undefined ra", ".cfi_signal_frame", f".cfi_rel_offset s1, {8 * c.below(9)}", f".cfi_register ra, {c.x()}",
            ".cfi_escape 0x0f, 0x02, 0x72, 0x00", f".cfi_offset {c.f()}, -{8 * (c.below(20) + 1)}", ".cfi_return_column ra", f".cfi_def_cfa 2, {c.below(2000)}", ".cfi_val_offset ra, -8", ".cfi_window_save" if c.below(20) == 0 else "", f".cfi_offset {c.below(64)}, -16",
        ))  # fmt: skip
    c.body(1)
    c.put(".cfi_endproc", c.pick("", f".size {name}, .-{name}"))
