"""More of what real `.S` files are made of: code, macros of macros, conditions, data of every width, symbols, sections."""

# ruff: noqa: E501  a kind of statement, however long, is a line

from collections.abc import Callable

from tests.linker.assembler.code_constructs import Words, addresses, alternative, fields, short_forms, unwind


def macros_of_macros(c: Words) -> None:
    """Macros with required, default, joined and quoted arguments, nested, ended early, forgotten and made anew."""
    one, two = c.new("push_all"), c.new("op")
    c.put(
        f'.macro {two} name:req, rd=a0, rs = "a1"',
        "    \\name \\rd, \\rs, \\rd",
        "    .ifc \\rd,a0",
        "    nop",
        "    .else",
        "    c.nop",
        "    .endif",
        ".endm",
    )
    c.put(
        f".macro {one} first, rest:vararg",
        ".ifb \\first",
        ".exitm",
        ".endif",
        f"    {two} \\first",
        f"    {one} \\rest",
        ".endm",
    )
    c.enter_code()
    c.put(
        f"    {one} {c.pick('add', 'add,sub', 'xor, or, and')}",
        f"    {two} add{c.pick('', 'w')}, a2",
        f"    {two} name=sub rs=t0",
        f"    {two} " + c.pick("mul, rs=s1", "mul,,s2", '"xor", "a3"'),
    )
    third = c.new("reg")
    c.put(
        f".macro {third} op, n:req, off=0",
        "    \\op\\()d x\\n, 8*\\n+\\off(sp)",
        f".set {third}_last, \\n",
        ".endm",
        f".irp r, 1, 5, {c.below(31)}",
        f"    {third} s, \\r",
        f"    {third} l \\r 16",
        ".endr",
    )
    c.put(f"    addi sp, sp, {third}_last * 8")
    if c.below(2):
        maker = c.new("maker")
        c.put(
            f".macro {maker} name, count",
            ".macro \\name",
            "    .rept \\count",
            "    nop",
            "    .endr",
            ".endm",
            ".endm",
            f"{maker} {maker}_x, {c.small()}",
            f"{maker}_x",
            f".purgem {maker}_x",
            f"{maker} {maker}_x 2",
            f"    {maker}_x",
        )
    if c.below(2):
        name = c.new("alt")
        c.put(
            ".altmacro",
            f".macro {name} a, b",
            "    LOCAL skip, again",
            "again: beqz \\a, skip",
            "    li \\a, b",
            "    j again",
            "skip:",
            ".endm",
            f"    {name} a0, %{c.small()}+1",
            f"    {name} <t0>, <7>",
            ".noaltmacro",
        )
    if c.below(2):
        loop = c.new("count")
        c.put(
            f".set {loop}, 0",
            f".macro {loop}_step",
            f".if {loop} < {c.small()}",
            f"    .set {loop}, {loop} + 1",
            f"    addi a0, a0, {loop}",
            f"    {loop}_step",
            ".endif",
            ".endm",
            f"    {loop}_step",
        )
    c.put(
        f".irpc d, {c.pick('012', '5', 'ab', '')}",
        f"    .set {third}_\\d, 1",
        ".endr",
        ".irp op, add, sub\n.irp r, a0, t1\n    \\op \\r, \\r, \\r\n.endr\n.endr",
        f".rept {c.small()} / 2",
        "1: bnez a0, 1b",
        ".endr",
        f".macro {third}_l l\n\\l\\()_here_\\@: nop\n.endm\n{third}_l {third}",
    )


def conditions(c: Words) -> None:
    """Conditional assembly of every kind, some of it nested or about labels."""
    name, start = c.new("OPTION"), c.new("start")
    c.enter_code()
    c.put(f".equ {name}, {c.below(5)}", f"{start}:", "    nop")
    c.put(
        f".{c.pick('ifeq', 'ifne', 'ifgt', 'iflt', 'ifge', 'ifle')} {name} - {c.below(5)}",
        "    wfi",
        f".if . - {start} > 2",
        "    nop",
        ".endif",
        ".else",
        "    ecall",
        ".endif",
    )
    c.put(
        f".ifndef {c.pick(name, 'undefined_' + name)}",
        "    .set " + name + "_x, 1",
        ".else",
        f"    .set {name}_x, 2",
        ".endif",
        f"    li a0, {name}_x",
    )
    c.put(
        '.ifeqs "a", "a"',
        f"    .if ({name} {c.pick('&', '|', '^', '<<', '>>', '%', '*', '+', '-')} 3) {c.pick('==', '!=', '<>', '<', '>=')} {c.small()} || {name} == 1",
        "    addi t0, t0, 1",
        "    .elseif 1",
        "    addi t1, t1, 1",
        "    .else\n    garbage that nobody reads\n    .endif",
        ".endif",
    )
    c.put(
        f".if (. - {start}) {c.pick('>', '<')} {8 * c.below(9)}",
        "    ret",
        ".endif",
        f'.ifnc "{c.pick("x", "y")}", x',
        "    sret",
        ".endif",
        c.pick(
            f'.if {name} == 77\n.error "no"\n.endif',
            '.ifnes "a", "b"\n    nop\n.endif',
            f".ifnotdef {name}\n.endif",
            f".if !{name}\n    mret\n.endif",
        ),
    )


def all_widths(c: Words) -> None:
    """Data directives of every width, with differences, characters and symbols."""
    c.enter_data()
    name = c.new("blob")
    c.labels.append(name)
    c.put(f"{name}:")
    for _ in range(c.below(8) + 1):
        c.put("    " + c.pick(
            f".byte {c.below(256)}, -{c.below(128)}, 0x{c.below(256):x}, 'q', '\\\\', '\\'' , 0b11", f".short {c.below(65536)}", f".hword -{c.below(32768)}, 1", f".int {c.large()} & 0x7fffffff", f".long 1, 2, {c.number()}", f".4byte {name}", f".8byte {name} + 8 - 4", f".2byte {c.below(60000)}",
            f".quad . , {name}", f".dword {c.large()}", f".dword -{c.below(1 << 30)}", f".octa 0x{c.below(1 << 60):x}{c.below(1 << 30):x}", f".byte . - {name}", f".half . - {name} + {c.small()}", f".word . - {name}", f".uleb128 {c.below(1 << 40)}", f".sleb128 -{c.below(1 << 40)}", f".sleb128 {c.pick('63', '64', '-64', '-65')}", f".word later - {name}",
            ".dword later - . ", f".word {c.label()} - .", f".word . - {c.label()}", f".byte {name}_end - {name}", f".half ({name}_end - {name}) / 1", f".if 1\n.word ({name}_end - {name})\n.endif", ".string8 \"x\", \"\"", ".string32 \"ab\"", ".ascii \"\\t\\r\\b\\f\\\"\\\\\\0\\177\\x7f\"", ".asciz \"a\" \"b\", \"c;#/*d*/\"", f".string \"50%\", \"{c.below(99)}\"",
            f".float {c.below(100)}.{c.below(100)}, -0.0, 1e{c.below(30)}, 0f1.5", f".double {c.below(1000)}, -1.5e-{c.below(30)}, inf" if c.below(4) == 0 else f".double {c.below(99)}e{c.below(200)}", f".single {c.below(9)}.125", ".float 0r2.5" if c.below(3) == 0 else ".double 0d1.75", ".dc.d 1.5", ".dc.s 2.5", f".dc.b {c.small()}, 1", f".dc.l {c.below(1 << 31)}", f".dc.w {c.below(9999)}", f".dc {c.below(999)}", f".dc.a {name}", ".float16 1.5" if c.below(5) == 0 else ".dcb.b 3, 7", ".dcb.l 2", ".dcb 2, 0x55", f".ds.b {c.small()}", ".ds.w 2", ".ds.d 1", ".ds.x 1" if c.below(5) == 0 else ".ds 3", ".dcb.d 2, 1.5",
            f".fill {c.small()}", f".fill {c.small()}, 4", f".fill 2, 8, 0x{c.below(1 << 32):x}", f".fill 3, 3, -{c.small()}", f".skip {c.small()}, 0xaa", f".space {c.small()} * 2", f".zero {c.small()}", f".org {name} + 512" if c.below(20) == 0 else "", f". = . + {c.small()}", f".org . + {c.small()}, 0x11", f".skip {name}_end - {name}_end + 2", f".align {c.below(4)}, 0xff", ".balign 2\n.balignw 4, 0x1234", ".balign 4\n.balignl 8, 0xdeadbeef", f".p2align 4, , {c.below(16)}", f".balign 16, 0, {c.below(16)}", f".balign {c.pick('1', '2', '4', '8', '16', '32')}, {c.below(256)}", ".p2align 2, 7, 2",
            f".dtprelword {c.label()}", ".dtpreldword extern_table + 8", f".word {c.label()} + 0x{c.below(1 << 20):x}", f".byte {c.number()} & 255, ({c.number()}) & 1 << 2", f".half 'a' + {c.small()}", f".byte 3 {c.pick('*', '+', '-', '&', '|', '^', '<<', '>>', '/', '%', '!', '==', '!=', '<', '>', '<=', '>=', '&&', '||')} {c.below(4) + 1}", f".dword ~{c.below(99)}, !{c.below(3)}, -(-{c.below(9)}), - -1", f".word 0x{c.below(1 << 32):X}", ".byte 1,2,\t3 ,4", ".value 1" if c.below(40) == 0 else ".byte 0",
        ))  # fmt: skip
    c.put(f"{name}_end:")


def attributes_of_symbols(c: Words) -> None:
    """Symbols: kinds, visibilities, sizes, versions, aliases; of this file and of others."""
    name = c.new("entry")
    kind = c.pick(
        "@function",
        "%function",
        '"function"',
        "STT_FUNC",
        "@object",
        "@notype",
        "STT_OBJECT",
        "@gnu_indirect_function",
    )
    c.put(
        f".type {name}, {kind}",
        c.pick(f".global {name}", f".globl {name}", f".weak {name}", f".local {name}", ""),
        c.pick(f".hidden {name}", f".protected {name}", f".internal {name}", "", ""),
    )
    (c.enter_code if c.below(2) else c.enter_data)()
    c.put(
        f"{name}:",
        ".word 1",
        f"{name}_mid:",
        ".word 2",
        f"{name}$x: .L{name}.y: _{name}: .word 3",
        f".size {name}, {c.pick('.-' + name, '12', f'{name}_mid - {name}', '4 * 3', f'. - {name} - 4')}",
    )
    c.put(
        c.pick(
            f".weakref {name}_ref, outside",
            f".set {name}_a, {name} + {c.small()}",
            f"{name}_b = {name}",
            f"{name}_b = . - {name}",
            f".equiv {name}_c, {c.small()}",
            f".eqv {name}_d, {name} + 4",
            f".weak {name}_u\n.dword {name}_u",
            f".globl {name}_g, {name}_h",
            f"{name}_s == {c.small()}",
            f".comm {name}_q, {c.small()}, 4",
            f".comm {name}_q, 8",
            f".lcomm {name}_r, 24",
            f".local {name}_z\n.comm {name}_z, 4, 4",
            f".set {name}_t, outside",
            f".set {name}_t, outside + 4\n.dword {name}_t",
            f".extern {name}_e",
            f'"{name} quoted": .word 1',
            f".common {name}_k, 16, 8",
            f".equ {name}_v, 1\n.equ {name}_v, {name}_v + 1\n.word {name}_v",
            f".word {name}_w\n{name}_w = 5",
            f".set {name}_m, {name}_n\n.set {name}_n, {c.small()}\n.word {name}_m",
        )
    )


def sections_and_back(c: Words) -> None:
    """Sections entered, left, returned to, subdivided, linked to others and grouped."""
    name = c.new("sec")
    c.enter_code()
    c.put(
        f".section .text.{name}, {c.pick(chr(34) + 'ax' + chr(34), chr(34) + 'ax' + chr(34) + ', %progbits', chr(34) + 'axG' + chr(34) + f', @progbits, {name}_group', chr(34) + 'axG' + chr(34) + f', @progbits, {name}_group, comdat', chr(34) + 'axR' + chr(34) if c.below(9) == 0 else chr(34) + 'ax' + chr(34))}"
    )
    c.body(c.below(3))
    c.put(c.pick(".previous", ".text", ".subsection 3", ".text 2", ""), "    nop", c.pick(".previous", "", ".text"))
    c.put(
        f'.pushsection .debug_{name}, "", @progbits',
        f".word 1, {c.label()}",
        ".popsection",
        ".pushsection .data",
        f".dword {c.label()}",
        '.pushsection .rodata, "a"',
        ".byte 1",
        ".popsection",
        ".byte 2",
        ".popsection",
    )
    c.put(
        c.pick(
            f'.section .init_array.{c.below(99):05d}, "aw", @init_array\n.dword later',
            '.section .fini_array, "aw", %fini_array\n.dword later',
            f'.section .{name}.note, "a", @note\n.word 4, 4, 1\n.asciz "abc"\n.word 7',
            f'.section .m{name}, "aMS", @progbits, {c.pick("1", "2", "4")}\n.asciz "one"\n.zero 3',
            f'.section .c{name}, "aM", @progbits, 4\n.word 1, 1, 2',
            f'.section .bss.{name}, "aw", @nobits\n.skip 8',
            f'.section .o{name}, "ao", @progbits, .text\n.word 1',
            f'.section .x{name}, "awx"\nnop',
            f'.section .t{name}, "awT", @nobits\n.zero 8',
            f".section .{name}_plain\n.word 1",
            f'.section {name}_c_name, "a"\n.word 0',
            f'.section .e{name}, "e"\n.word 1',
            f".section .rodata.{name}\n.byte 1",
            f".section .data.{name}\n.half 2",
            f".section .sdata.{name}\n.half 2",
            f".section .note.{name}\n.word 1",
            f'.section ".q.{name}", "aw", @progbits\n.zero 2',
            f".section .text.{name}2\nnop",
            f'.section .tbss.{name}, "awT", @nobits\n.skip 4',
            f'.section .w{name}, "w"\n.word 1',
            f".section .n{name}, #alloc, #write\n.word 1"
            if c.below(9) == 0
            else ".sdata2"
            if c.below(20) == 0
            else ".section .bss\n.skip 4",
        )
    )


def options_and_attributes(c: Words) -> None:
    """`.option` and `.attribute`, which change what follows or only what is said of the file."""
    c.enter_code()
    c.put(c.pick(
        ".option push\n.option norvc\n.align 2\nj later\n.option pop", ".option push\n.option norelax\nla gp, __global_pointer$\n.option pop", ".option arch, +zicsr, +zifencei\ncsrr a0, sstatus", ".option push\n.option arch, rv64ima\nnop\naddi a0, a0, 1\n.option pop",
        ".option push\n.option arch, -c, +c\nnop\n.option pop", ".option push\n.option rvc\nnop\n.option norvc\nnop\n.option pop\nnop", ".option push\n.option pic\nla a0, later\nlla a1, later\ncall later\n.option nopic\nla a0, later\n.option pop", ".option push\n.option arch, +svinval\nsinval.vma a0, a1\n.option pop",
        ".option push\n.option arch, +zihintpause\npause\n.option pop", ".option push\n.option arch, +h\nhfence.gvma a0, a1\n.option pop", ".option csr-check\n.option no-csr-check", ".option push\n.option arch, -d\n.option pop\nfld fa0, (a0)", ".option push\n.option arch, rv64gc\nfld fa0, (a0)\n.option pop",
    ))  # fmt: skip
    c.body(c.below(3))
    c.put(
        c.pick(
            "",
            "",
            ".attribute stack_align, 16",
            ".attribute unaligned_access, 1",
            ".attribute 4, 16",
            '.attribute arch, "rv64i2p1_m2p0_a2p1"' if c.below(3) == 0 else "",
            '.attribute 5, "rv64imac"' if c.below(3) == 0 else "",
        )
    )


def said_of_the_file(c: Words) -> None:
    """Lines of a compiler or a preprocessor that say where code comes from, and comments of every kind."""
    c.put(".text")
    c.put(
        c.pick(
            '.file "main.c"',
            '.ident "a compiler"',
            '# 1 "boot.S"',
            "/* one\n   two */ nop",
            ".text /* here */ ; nop // not C",
            '.title "t"',
            ".list\n.nolist",
            ".eject",
            '.print "hello"' if c.below(5) == 0 else "",
            '.version "1"' if c.below(5) == 0 else "",
            ".line 7" if c.below(5) == 0 else "",
            "#NO_APP\nnop\n#APP",
            "nop # 'quoted \"comment",
            '.warning "careful"' if c.below(5) == 0 else "",
            "# /* not open",
            '.ascii "" # nothing',
            "  ; ;; nop;",
            "\tnop\t",
            ".globl  \t  spaced_symbol",
            "nop /**/ ; /* a */ nop /* b */",
            ".line 3" if c.below(20) == 0 else "",
            '.section .comment\n.asciz "c"\n.text',
        )
    )
    c.code = c.data = True
    c.put(".text")


CONSTRUCTS: list[Callable[[Words], None]] = [
    alternative, addresses, addresses, short_forms, short_forms, short_forms, fields, unwind, macros_of_macros, conditions,
    all_widths, all_widths, attributes_of_symbols, attributes_of_symbols, sections_and_back, options_and_attributes, said_of_the_file,
]  # fmt: skip
