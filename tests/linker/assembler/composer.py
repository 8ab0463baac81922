"""Composes sources at random from what real `.S` files are made of: boot code, traps, context switches, tables."""

# ruff: noqa: E501  a kind of statement, however long, is a line

import random
from collections.abc import Callable

from linker.assembler.encoding.csrs import CSRS
from tests.linker.assembler.constructs import CONSTRUCTS

X = [f"{kind}{n}" for kind, last in (("a", 8), ("s", 12), ("t", 7)) for n in range(last)] + [
    "ra",
    "sp",
    "gp",
    "tp",
    "x0",
]
F = [f"{kind}{n}" for kind, last in (("fa", 8), ("fs", 12), ("ft", 12)) for n in range(last)]
SECTIONS = [
    ".text", ".data", ".bss", '.section .rodata', '.section .init.text, "ax"', '.section .text.boot, "ax", @progbits',
    '.section .sdata, "aw"', '.section .rodata.str1.8, "aMS", @progbits, 1', '.section .note.GNU-stack, "", @progbits',
    '.section .init_array, "aw", @init_array', '.section .tdata, "awT", @progbits', '.section .sbss, "aw", @nobits',
    '.section .text.unlikely, "axG", @progbits, cold, comdat', '.section .meta, "ao", @progbits, .text', ".text 1",
    '.section ".vectors", "ax"', '.section .rodata.cst8, "aM", @progbits, 8', ".subsection 2",
]  # fmt: skip
THREE = ["add", "sub", "xor", "or", "and", "sll", "srl", "sra", "slt", "sltu", "addw", "subw", "mul", "divu", "remw"]
ATOMIC = ["amoswap.w", "amoadd.d.aqrl", "amoor.w.rl", "amomaxu.d.aq"]
LOADS = ["lb", "lbu", "lh", "lhu", "lw", "lwu", "ld"]
STORES = ["sb", "sh", "sw", "sd"]
BRANCHES = ["beq", "bne", "blt", "bge", "bltu", "bgeu", "bgt", "ble", "bgtu", "bleu"]
ZERO_BRANCHES = ["beqz", "bnez", "bltz", "bgez", "blez", "bgtz"]


class Composer:
    """One source."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.lines: list[str] = []
        self.labels: list[str] = []
        self.constants: list[str] = []
        self.count = 0
        self.code = True
        """The current section holds code."""
        self.data = True
        """The current section holds bytes in the file."""

    # Words

    def pick(self, *choices: str) -> str:
        return self.rng.choice(choices)

    def new(self, stem: str) -> str:
        self.count += 1
        return f"{stem}_{self.count}"

    def below(self, number: int) -> int:
        return self.rng.randrange(number)

    def x(self) -> str:
        return self.rng.choice(X)

    def f(self) -> str:
        return self.rng.choice(F)

    def label(self) -> str:
        """A symbol that is defined somewhere, or not at all."""
        return self.rng.choice([*self.labels[-8:], "later", "extern_function", "extern_table"])

    def number(self) -> str:
        value = self.rng.choice([0, 1, 2, 4, 8, 31, 32, 63, 255, 2047, -1, -2048, self.rng.randrange(-2048, 2048)])
        return self.pick(
            str(value), str(value), hex(value), f"({value})", f"{value // 2} * 2", f"1 << {abs(value) % 10}"
        )

    def large(self) -> str:
        bits = self.rng.choice([12, 16, 20, 31, 32, 33, 48, 63])
        value = self.rng.getrandbits(bits) * self.rng.choice([1, 1, -1])
        return self.pick(str(value), hex(value), f"(1 << {bits}) - 1", f"~{abs(value)}", f"-(1 << {bits})")

    def constant(self) -> str:
        return self.rng.choice(self.constants) if self.constants and self.rng.random() < 0.5 else self.number()

    def small(self) -> str:
        return str(self.rng.choice([0, 1, 2, 3, 4, 5, 7, 8, 12, 16]))

    def put(self, *lines: str) -> None:
        self.lines += lines

    # Instructions

    def instruction(self) -> str:
        rng, x = self.rng, self.x
        offset = rng.choice([0, 8, 16, 24, 40, 248, 256, -8, -2048, 2040])
        return rng.choice(
            [
                f"{rng.choice(THREE)} {x()}, {x()}, {x()}", f"{rng.choice(THREE[:5])} {(r := x())}, {r}, {x()}",
                f"addi {(r := x())}, {r}, {self.constant()}", f"addi sp, sp, {16 * rng.randrange(-32, 33)}",
                f"{self.pick('addi', 'andi', 'ori', 'xori', 'slti', 'sltiu', 'addiw')} {x()}, {x()}, {self.number()}",
                f"{self.pick('slli', 'srli', 'srai')} {x()}, {x()}, {rng.randrange(64)}",
                f"{self.pick('slliw', 'srliw', 'sraiw')} {x()}, {x()}, {rng.randrange(32)}",
                f"{rng.choice(LOADS)} {x()}, {offset}({x()})", f"{rng.choice(STORES)} {x()}, {offset}({x()})",
                f"ld {x()}, {offset}(sp)", f"sd {x()}, {offset}(sp)", f"{rng.choice(LOADS)} {x()}, ({x()})",
                f"fld {rng.choice(F)}, {offset}({x()})", f"fsd {rng.choice(F)}, {offset}({x()})",
                f"fmadd.d {rng.choice(F)}, {rng.choice(F)}, {rng.choice(F)}, {rng.choice(F)}",
                f"fcvt.w.d {x()}, {rng.choice(F)}, {self.pick('rtz', 'rne', 'dyn')}", f"fmv.x.d {x()}, {rng.choice(F)}",
                f"li {x()}, {self.large()}", f"li {x()}, {self.constant()}", f"mv {x()}, {x()}", f"not {x()}, {x()}",
                f"la {x()}, {self.label()}", f"lla {x()}, {self.label()} + {self.small()}", f"call {self.label()}",
                f"tail {self.label()}", f"jal {self.label()}", f"j {self.label()}", f"jal {x()}, {self.label()}",
                f"{rng.choice(ZERO_BRANCHES)} {x()}, {self.label()}", "ret", "nop", "wfi", "mret", "sret", "ecall", "unimp",
                f"{rng.choice(BRANCHES)} {x()}, {x()}, {self.label()}", f"jr {x()}", f"jalr {x()}", f"jalr ra, {offset}({x()})",
                f"{rng.choice(ATOMIC)} {x()}, {x()}, ({x()})", f"lr.w {x()}, ({x()})", f"sc.d.rl {x()}, {x()}, ({x()})",
                f"csrr {x()}, {rng.choice(list(CSRS))}", f"csrw {rng.choice(list(CSRS))}, {x()}",
                f"csrrw {x()}, {self.pick('mscratch', 'sscratch')}, {x()}", f"csrsi {self.pick('mstatus', 'sie')}, {rng.randrange(32)}",
                f"csrc sstatus, {x()}", f"fence {self.pick('rw', 'r', 'iorw', 'w')}, {self.pick('w', 'rw', 'o')}", "fence.i",
                f"sfence.vma {x()}, {x()}", "sfence.vma", f"lui {x()}, {rng.randrange(1 << 20)}", f"auipc {x()}, 0",
                f"lui {x()}, %hi({self.label()})", f"addi {x()}, {x()}, %lo({self.label()})", f"sw {x()}, %lo({self.label()} + 4)({x()})",
                f"lw {x()}, {self.label()}", f"sd {x()}, {self.label()}, {x()}", f"sext.w {x()}, {x()}", f"zext.h {x()}, {x()}",
                f".insn r 0x33, 0, 0, {x()}, {x()}, {x()}", f".insn i 0x13, 0, {x()}, {x()}, 5", f".4byte {hex(rng.getrandbits(32))}",
                f"seqz {x()}, {x()}", f"c.addi {self.pick('a0', 's1')}, {rng.randrange(1, 31)}", "c.nop", f"neg {x()}, {x()}",
            ]
        )  # fmt: skip

    def body(self, count: int) -> None:
        for _ in range(count):
            self.put(f"    {self.instruction()}{self.pick('', '', '', '  # ' + self.new('why'), ' ; nop')}")

    # Constructs

    def enter_code(self) -> None:
        self.put(self.pick(".text", '.section .text.boot, "ax", @progbits', ".text"))
        self.code = self.data = True

    def enter_data(self) -> None:
        self.put(self.pick(".data", ".section .rodata", '.section .sdata, "aw"'))
        self.code, self.data = False, True

    def function(self) -> None:
        self.enter_code()
        name = self.new("func")
        self.put(
            *self.rng.sample([f".globl {name}", f".type {name}, @function", f".balign {self.pick('2', '4', '8')}"], 2)
        )
        self.put(f"{name}:")
        self.labels.append(name)
        unwind = self.rng.random() < 0.4
        if unwind:
            self.put(
                ".cfi_startproc", "addi sp, sp, -32", ".cfi_def_cfa_offset 32", "sd ra, 24(sp)", ".cfi_offset ra, -8"
            )
        for _ in range(self.rng.randrange(1, 4)):
            self.rng.choice([self.loop, self.forward, lambda: self.body(self.rng.randrange(1, 6)), self.named])()
        if unwind:
            self.put(
                "ld ra, 24(sp)", ".cfi_restore ra", "addi sp, sp, 32", ".cfi_def_cfa_offset 0", "ret", ".cfi_endproc"
            )
        self.put(f".size {name}, . - {name}" if self.rng.random() < 0.7 else "")

    def loop(self) -> None:
        n = self.rng.randrange(1, 10)
        self.put(f"{n}:")
        self.body(self.rng.randrange(1, 4))
        self.put(f"    {self.rng.choice(ZERO_BRANCHES)} {self.x()}, {n}b")

    def forward(self) -> None:
        n = self.rng.randrange(1, 10)
        self.put(f"    {self.rng.choice(BRANCHES)} {self.x()}, {self.x()}, {n}f")
        self.body(self.rng.randrange(0, 3))
        if self.rng.random() < 0.1:
            self.put(f"    .skip {self.rng.choice([200, 300, 2100, 4000, 5000])}")
        self.put(f"{n}:")

    def named(self) -> None:
        label = self.pick(".L", "") + self.new("step")
        self.put(f"{label}:")
        self.labels.append(label)

    def exception_table(self) -> None:
        self.enter_code()
        self.put(
            "1:  lw a0, (a1)", "2:", '.pushsection __ex_table, "a"', ".balign 4", ".word 1b - ., 2b - .", ".popsection"
        )

    def registers_saved(self) -> None:
        macro = self.new("SAVE")
        store, first, last = self.pick("sd", "sw", "fsd"), self.rng.randrange(1, 9), self.rng.randrange(9, 31)
        kind = "f" if store == "fsd" else "x"
        size = 4 if store == "sw" else 8
        self.put(f".macro {macro} base=sp, from={first}")
        self.put(f".set n_{macro}, {first}", f".rept {last - first}", "nop", f".set n_{macro}, n_{macro} + 1", ".endr")
        self.put(f".irp n, {first}, {last}", f"{store} {kind}\\n, {size} * \\n(\\base)", ".endr", ".endm")
        self.enter_code()
        self.put(
            f"    {macro}", f"    {macro} base=a0", f"    {macro.lower()} t0, 3" if self.rng.random() < 0.5 else ""
        )

    def macro_with_labels(self) -> None:
        macro = self.new("wait")
        self.put(
            f".macro {macro} reg, count=4, rest:vararg",
            "    li \\reg, \\count",
            ".Lagain\\@:",
            "    addi \\reg, \\reg, -1",
        )
        self.put("    bnez \\reg, .Lagain\\@", ".ifnb \\rest", "    li a7, \\rest", ".endif", ".endm")
        self.enter_code()
        self.put(
            f"    {macro} t0",
            f"    {macro} t1, 100",
            f"    {macro} t2, 7, {self.small()}",
            f"    {macro} reg=s0 count=2",
        )

    def recursive_macro(self) -> None:
        macro = self.new("fill")
        self.put(f".macro {macro} n", ".if \\n", "    .byte \\n", f"    {macro} (\\n - 1)", ".endif", ".endm")
        self.put(".data", f"    {macro} {self.rng.randrange(6)}")
        self.code, self.data = False, True

    def conditional(self) -> None:
        name = self.new("CONFIG")
        self.enter_code()
        self.put(f".set {name}, {self.small()}", f".if {name} {self.pick('>', '==', '<=', '!=')} {self.small()} && 1")
        self.enter_code()
        self.body(1)
        self.put(f".elseif {name} & 1", "    nop", ".else", "    ebreak", ".endif")
        self.put(f".ifdef {self.pick(name, 'NOT_THERE')}", "    nop", ".endif", ".ifc a b, a b", "    nop", ".endif")

    def structure(self) -> None:
        name = self.new("frame")
        self.put(
            f".struct {self.small()}",
            f"{name}_ra: .space 8",
            f"{name}_sp: .skip {self.small()}",
            f"{name}_end:",
            ".text",
        )
        self.constants += [f"{name}_ra", f"{name}_end"]
        self.code = self.data = True
        self.put(f"    sd ra, {name}_ra(sp)", f"    addi sp, sp, -{name}_end")

    def equates(self) -> None:
        name = self.new("SIZE")
        self.put(
            self.pick(f".equ {name}, {self.number()}", f".set {name}, {self.number()}", f"{name} = {self.number()}")
        )
        self.constants.append(name)

    def tables(self) -> None:
        self.enter_data()
        name = self.new("table")
        self.labels.append(name)
        self.put(f".balign {self.pick('4', '8', '16')}", f"{name}:")
        for _ in range(self.rng.randrange(1, 6)):
            self.put(f"    {self.datum(name)}")
        self.put(
            f".size {name}, . - {name}", f".type {name}, @object", self.pick("", f".weak {name}", f".hidden {name}")
        )

    def datum(self, table: str) -> str:
        return self.rng.choice(
            [
                f".dword {self.label()}", f".word {self.label()} + {self.small()}", f".word {self.label()} - {table}",
                f".byte {self.constant()} & 0xff, 'a', '\\n'", f".half {self.number()}", f'.asciz "{self.new("text")}\\n\\x41\\101"',
                '.string "a", "b"', '.ascii "x" "y\\0"', f".quad {self.large()}", f".dword . - {table}", f".uleb128 {self.rng.randrange(300)}",
                f".sleb128 -{self.small()}", f".fill {self.small()}, {self.pick('1', '2', '4', '8')}, {self.small()}",
                f".skip {self.small()}", f".zero {self.small()}", f".p2align {self.pick('1', '2', '3')}", ".float 1.5, -0.25", ".double 3.25",
                f".octa {self.large()}", f".dcb.w {self.rng.randrange(1, 4)}, {self.small()}", f".ds.l {self.rng.randrange(1, 3)}", f".2byte {self.number()}",
                f".balign 8, {self.small()}", f".space {self.small()}, {self.small()}", f".word {table} - {table} + {self.small()}", f".8byte {self.label()}",
                f".irp v, 1, 2, {self.small()}\n    .byte \\v\n    .endr", ".irpc c, 123\n    .byte \\c\n    .endr", f".rept {self.rng.randrange(4)}\n    .word {self.small()}\n    .endr",
                ".reloc ., R_RISCV_NONE", f".org . + {self.small()}", f".set {self.new('mark')}, .", ".string16 \"w\"",
            ]
        )  # fmt: skip

    def room(self) -> None:
        name = self.new("stack")
        self.put(
            ".bss", f".balign {self.pick('8', '16', '4096')}", f"{name}:", f".skip {self.pick('8', '4096', '64 * 4')}"
        )
        self.code = self.data = False
        self.labels.append(name)
        self.put(
            self.rng.choice([f".comm {self.new('common')}, 8, 8", f".lcomm {self.new('local')}, 4", f".globl {name}"])
        )

    def options(self) -> None:
        self.enter_code()
        self.put(".option push", f".option {self.pick('norvc', 'rvc', 'arch, -c', 'norelax', 'pic', 'nopic')}")
        self.body(self.rng.randrange(1, 4))
        self.put(self.pick(".align 2", ".balign 8", ""), ".option pop")

    def aliases(self) -> None:
        if self.labels:
            target, name = self.rng.choice(self.labels), self.new("alias")
            self.put(
                self.rng.choice(
                    [
                        f".set {name}, {target}",
                        f".weak {name}\n{name} = {target}",
                        f".globl {name}\n.equ {name}, {target} + 4",
                    ]
                )
            )

    def vectors(self) -> None:
        name = self.new("vector")
        self.put(
            '.section .vectors, "ax"',
            ".balign 64",
            f"{name}:",
            ".rept 4",
            f"    j {self.label()}",
            ".balign 4",
            ".endr",
        )
        self.labels.append(name)
        self.code = self.data = True

    def thread_local(self) -> None:
        name = self.new("per_hart")
        self.put('.section .tdata, "awT", @progbits', f"{name}: .dword 1", ".text")
        self.code = self.data = True
        self.put(
            f"    lui a0, %tprel_hi({name})",
            f"    add a0, a0, tp, %tprel_add({name})",
            f"    lw a1, %tprel_lo({name})(a0)",
        )
        self.put(f"    la.tls.ie a2, {name}", f"    la.tls.gd a3, {name}")

    def section(self) -> None:
        directive = self.rng.choice(SECTIONS)
        self.put(
            directive, f".balign {self.pick('1', '2', '4')}" if "nobits" in directive or "bss" in directive else ""
        )
        self.enter_code()

    def compose(self) -> str:
        """The source."""
        constructs: list[Callable[[], None]] = [
            self.function, self.function, self.function, self.registers_saved, self.macro_with_labels, self.recursive_macro,
            self.conditional, self.structure, self.equates, self.tables, self.tables, self.room, self.options, self.aliases,
            self.vectors, self.thread_local, self.section, self.exception_table,
        ]  # fmt: skip
        for _ in range(self.rng.randrange(2, 9)):
            if self.rng.random() < 0.5:
                self.rng.choice(constructs)()
            else:
                self.rng.choice(CONSTRUCTS)(self)
        self.enter_code()
        self.put("later:", "    nop")
        return "\n".join(line for line in self.lines if line) + "\n"


MISTAKES = [
    "    addi a0, a1, 4096", "    addd a0, a1", "    lw a0, 8(q1)", "later: nop", "    li a0, nowhere_defined", "    .balign 3", "    sd a0",
    ".endif", ".else", "    csrr a0, nosuchcsr", ".popsectoin", ".if 1", "    .skip unknown_size", "    slli a0, a0, 64", "    jalr a0, 4096(a1)",
    ".macro unfinished", "    .byte (2", "    fld a0, 0(sp)", "    c.addi a0, 99", "    .set", '    .section .x, "q"',
    "    .cfi_def_cfa_offset 8", "    .option arch, +zqq", "    .rept 2", "    .equiv later, 5", "    .data ; nop ; .word a b",
    "    .error \"stop\"", "    .incbin \"no-such-file\"", "    .reloc 0, R_RISCV_NOTHING", "    .org -4",
]  # fmt: skip


def compose(seed: int) -> str:
    """A source that is mostly right; one in eight has a mistake in it."""
    source = Composer(seed).compose()
    rng = random.Random(-seed - 1)
    if rng.random() < 0.125:
        lines = source.split("\n")
        lines.insert(rng.randrange(len(lines)), rng.choice(MISTAKES))
        source = "\n".join(lines)
    return source
