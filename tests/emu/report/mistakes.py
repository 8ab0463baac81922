# ruff: noqa: E501
"""Mistakes that beginners make, each with what they should read about it: short kernels for `test_mistakes`."""

from dataclasses import dataclass

SETUP = """
 la t0, handler
 csrw stvec, t0
"""
PAGED = (
    SETUP
    + """
 la s0, root
 li t1, 0x80000 << 10 | 0xcf
 sd t1, 16(s0)              # kernel and RAM, a gigapage
 la t1, middle
 srli t1, t1, 2
 ori t1, t1, 1
 sd t1, 0(s0)               # 0 ..: middle, last
 la s1, middle
 la t1, last
 srli t1, t1, 2
 ori t1, t1, 1
 sd t1, 0(s1)
 la s2, last
 la t1, page
 srli s3, t1, 2             # the page's PPN where a PTE has it
 srli t1, s0, 12
 li t0, 8 << 60
 or s4, t0, t1              # satp
"""
)
TABLES = """
 .balign 4
handler: j handler
 .bss
 .balign 4096
root: .zero 4096
middle: .zero 4096
last: .zero 4096
page: .zero 4096
"""
USER = """
 la t0, user
 csrw sepc, t0
 li t0, 0x100
 csrc sstatus, t0
 sret
user:
"""


@dataclass(frozen=True)
class Mistake:
    """A program, and parts of what is said about it, in their order."""

    name: str
    source: str
    said: tuple[str, ...]
    firmware: str = "sbi"
    fidelities: tuple[str, ...] = ("exact", "fast")


def plain(name: str, body: str, *said: str) -> Mistake:
    """With a handler that stays where it is."""
    return Mistake(name, SETUP + body + TABLES, said)


def paged(name: str, pte: str, access: str, *said: str, fidelities: tuple[str, ...] = ("exact", "fast")) -> Mistake:
    """`pte` makes t1, the entry for page 0x1000 of the last table, from s3; then comes `access` under Sv39."""
    body = f"{pte}\n sd t1, 8(s2)\n csrw satp, s4\n sfence.vma\n li a0, 0x1000\n{access}\n j .\n"
    return Mistake(name, PAGED + body + TABLES, said, fidelities=fidelities)


ACCESSES = [
    plain(
        "a null pointer with an offset", " li a0, 0x18\n ld a1, 0(a0)",
        "load access fault at _start+", "(mistake.S:", "`ld a1, 0(a0)` loads 8 bytes from 0x18: outside of memory",
        "no device is at 0x18 (a null pointer?)",
    ),
    plain(
        "a stack that was never set up", " li sp, 0\n call work\nwork: addi sp, sp, -32\n sd ra, 24(sp)",
        "store access fault at work", "`sd ra, 0x18(sp)`", "sp counts from 0: it was never set to the top of a stack",
    ),
    plain(
        "a function that calls itself without end",
        " li sp, 0x80001000\nwork: addi sp, sp, -64\n sd ra, 8(sp)\n call work",
        "store access fault at work", "outside of memory", "sp has left the memory of its stack: does a function call itself",
    ),
    plain(
        "a hole of the memory map", " li a0, 0x20000000\n sw a1, 4(a0)",
        "store access fault", "`sw a1, 4(a0)` stores 4 bytes to 0x20000004", "no device is at 0x20000004",
    ),
    plain(
        "more RAM than there is", " li a0, 0x81000000\n lbu a1, 0(a0)",
        "loads a byte from 0x81000000", "RAM is 0x80000000..0x80ffffff", "-m SIZE gives more RAM",
    ),
    plain(
        "a wide access to the PLIC", " li a0, 0xc000000\n sd zero, 8(a0)",
        "store access fault", "the PLIC takes 32-bit accesses only, and this one stores 64 bits",
    ),
    plain(
        "a narrow access to the PLIC", " li a0, 0xc201004\n lbu a1, 0(a0)",
        "the PLIC takes 32-bit accesses only, and this one loads 8 bits",
    ),
    plain(
        "a misaligned access to a device", " li a0, 0x2004002\n lw a1, 0(a0)",
        "the CLINT takes aligned accesses only, and 0x2004002 is no multiple of 4",
    ),
    plain(
        "code in a device", " li a0, 0x10000000\n jr a0",
        "instruction access fault at 0x10000000: the UART is a device, and no instruction is fetched from it",
        "a0 holds this address",
    ),
    plain(
        "an atomic on a misaligned word", " la a0, page + 2\n amoadd.w a1, a2, (a0)",
        "`amoadd.w a1, a2, (a0)` needs an address that is a multiple of 4",
    ),
]  # fmt: skip
JUMPS = [
    plain(
        "a null function pointer", " li a5, 0\n jalr a5",
        "instruction access fault at 0x0", "called by `c.jalr a5` at _start+", "(mistake.S:",
    ),
    plain(
        "a call through a table with an offset", " li a5, 0x300\n jalr 8(a5)",
        "at 0x308", "called by `jalr ra, a5, 8` at _start+",
    ),
    plain("a return from what nobody called", " ret", "at 0x0", "ra is 0: a `ret` from what nobody called"),
    plain("a return address overwritten", " li ra, 0x41414140\n ret", "at 0x41414140", "ra holds this address: a `ret`"),
    plain(
        "a return address overwritten by letters", " li ra, 0x4141414141414141\n ret",
        "at 0x4141414141414140", "ra holds this address: a `ret`",
    ),
    plain(
        "a trap return to an epc that was never set", " csrw sepc, zero\n li ra, 8\n sret",
        "access fault at 0x0", "or a return from a trap (sret, mret) whose epc was never set",
    ),
    plain(
        "a function without an end", " la sp, page\n call work\n j .\n .type work, @function\nwork: call help\n .zero 6\n"
        " .size work, . - work - 6\n .type help, @function\nhelp: ret\n .size help, . - help",
        "illegal instruction at work+0x8", "zeros", "the call at work+0x4 (mistake.S:11) has returned, and no code stands behind it",
        "is a `ret` missing?",
    ),
    plain(
        "a return address that is not kept", " la sp, page\n call work\n j .\n .type work, @function\n"
        "work: addi sp, sp, -16\n sd s0, 8(sp)\n call help\n li a0, 1\n ld s0, 8(sp)\n addi sp, sp, 16\n ret\n"
        " .size work, . - work\n .type help, @function\nhelp: ret\n .size help, . - help",
        "work returns to itself, for ever: ra is 0x", "behind the call at work+0x8 (mistake.S:13)", "keep ra on the stack",
    ),
    plain("the end of the code", " li a0, 1\n .zero 32", "illegal instruction at _start+", "not an instruction: zeros"),
    plain(
        "a jump into data", " la a0, page\n jr a0\n .bss\n .balign 8\n .type page, @object\n .size page, 4096\n .text",
        "illegal instruction at page", "zeros", "page is data; a0 holds this address",
    ),
    plain("erased memory", " .word 0xffffffff", "not an instruction: all ones"),
    plain(
        "unreachable code", " csrrw zero, cycle, zero", "`unimp`, which compilers put where execution must never come",
    ),
    plain("unreachable compressed code", " unimp", "zeros, as where nothing was loaded, or `unimp`"),
    plain("garbage", " .word 0x0000505b", "not an instruction that this core knows: 0x0000505b"),
]  # fmt: skip
CSRS = [
    plain(
        "the hart id in S mode", " csrr a0, mhartid",
        "illegal instruction at _start+", "`csrr a0, mhartid` reads a CSR of M mode in S mode",
        "S mode gets the hart's id in a0",
    ),
    plain(
        "mstatus in S mode", " csrw mstatus, a0",
        "`csrw mstatus, a0` writes a CSR of M mode in S mode", "S mode has sstatus",
    ),
    plain("a CSR that cannot be written", " csrw cycle, a0", "writes cycle, which can only be read; csrr reads it"),
    plain("a CSR of nobody", " csrr a0, 0x5c0", "reads CSR 0x5c0, and there is no such CSR"),
    plain("a CSR of the vector extension", " csrr a0, 0xc22", "`csrr a0, vlenb` reads the CSR vlenb", "belongs to V"),
    plain("a CSR of the hypervisor", " csrw 0x600, a0", "writes the CSR hstatus", "belongs to H"),
    plain("sstatus in U mode", USER + " csrr a0, sstatus", "`csrr a0, sstatus` reads a CSR of S mode in U mode"),
    plain(
        "counters in U mode", " csrw scounteren, zero\n" + USER + " rdcycle a0",
        "`rdcycle a0` reads cycle: scounteren.CY is 0, so U mode may not read it",
    ),
    plain("mret in S mode", " mret", "`mret` is an instruction of M mode, and this is S mode; S mode returns by sret"),
    plain("sret in U mode", USER + " sret", "`sret` is an instruction of S mode, and this is U mode"),
    plain("wfi in U mode", USER + " wfi", "`wfi`"),
    plain("sfence.vma in U mode", USER + " sfence.vma", "`sfence.vma` is an instruction of S mode, and this is U mode"),
    plain("floats without FS", " li t0, 0x6000\n csrc sstatus, t0\n fadd.d fa0, fa0, fa0", "F is off: mstatus.FS is 0"),
    plain("c.fld without FS", " li t0, 0x6000\n csrc sstatus, t0\n fmv.x.d a0, fa0", "F is off: mstatus.FS is 0"),
    plain("fcsr without FS", " li t0, 0x6000\n csrc sstatus, t0\n csrr a0, fcsr", "reads fcsr: F is off"),
]  # fmt: skip
EXTENSIONS = [
    plain(name, f" .{size}byte {bits:#x}", f"{what} belongs to {extension}, which this core lacks", "-march=rv64gc")
    for name, size, bits, what, extension in (
        ("an address sum of Zba", 4, 0x20C5A533, "`sh1add`", "Zba"),
        ("a count of bits of Zbb", 4, 0x60251513, "`cpop`", "Zbb"),
        ("a vector setup", 4, 0x0D007057, "a vector instruction", "V"),
        ("a cache line of zeros", 4, 0x0045200F, "`cbo.zero`", "Zicboz"),
        ("a conditional zero", 4, 0x0EC5D533, "`czero.eqz`", "Zicond"),
        ("an atomic compare and swap", 4, 0x28C5A52F, "`amocas.w`", "Zacas"),
    )
]
LOAD, STORE, JUMP = " ld a1, 8(a0)", " sd a1, 8(a0)", " jr a0"
PAGES = [
    paged("a page that is not mapped", " li t1, 0", LOAD, "load page fault", "loads 8 bytes from 0x1008", "(all zero)"),
    paged("a valid bit forgotten", " ori t1, s3, 0xc6", LOAD, "load page fault", "is invalid (V = 0)"),
    paged("a page that is read only", " ori t1, s3, 0xc3", STORE, "store page fault", "stores 8 bytes to", "has no W"),
    paged(
        "a device that was not mapped", " ori t1, s3, 0xc7", " li a0, 0x10000000\n lbu a1, 5(a0)",
        "load page fault", "from 0x10000005", "is invalid (V = 0); the UART is at this physical address: map it, too",
    ),
    paged(
        "data that is executed", " ori t1, s3, 0xc7", JUMP,
        "instruction page fault at 0x1000", "has no X", "a0 holds this address",
    ),
    paged("a user page in S mode", " ori t1, s3, 0xd7", LOAD, "(U = 1) and S mode runs with SUM = 0"),
    paged(
        "the kernel's page in U mode", " ori t1, s3, 0xcf", USER + " nop",
        "instruction page fault at user (mistake.S:", "is not a user page (U = 0)",
    ),
    paged("write without read", " ori t1, s3, 0xc5", LOAD, "has W without R, which is reserved"),
    paged(
        "an address instead of a PPN", " la t1, page\n slli t1, t1, 28\n ori t1, t1, 0xc7", LOAD,
        "has reserved bits set: ", "must be 0 here; a PTE is PPN << 10 | flags",
    ),
    paged(
        "Svnapot that is not there", " li t1, 1 << 63 | 0xc7\n or t1, t1, s3", LOAD,
        "reserved bits set: N (bit 63, Svnapot) must be 0", fidelities=("exact",),
    ),
    paged("the last level with a pointer", " ori t1, s3, 1", LOAD, "is on level 0 and not a leaf (no R, W or X)"),
    paged(
        "flags of a leaf in a pointer", " ori t1, s3, 0xc7\n ld t2, 0(s1)\n ori t2, t2, 0xc0\n sd t2, 0(s1)", LOAD,
        "the level-1 PTE", "reserved bits set: A, D must be 0 where R, W and X are 0", fidelities=("exact",),
    ),
    paged(
        "a misaligned megapage", " srli t1, s3, 10\n ori t1, t1, 5\n slli t1, t1, 10\n ori t1, t1, 0xc7\n sd t1, 0(s1)",
        LOAD, "the level-1 PTE", "is a misaligned superpage: PPN[0] = ", "must be 0 for 2 MiB, so PPN 0x80200 would be",
    ),
    paged(
        "an address that is not canonical", " ori t1, s3, 0xc7", " li a0, 1 << 39\n ld a1, 0(a0)",
        "the address is not canonical", "bits 63 to 39 must equal bit 38 (Sv39)",
    ),
    paged(
        "a table outside of memory", " li t1, 0x90000 << 10 | 1\n sd t1, 0(s1)", LOAD,
        "load access fault", "its page walk cannot go on: the level-0 PTE at 0x90000008", "outside physical memory",
    ),
    paged(
        "a page outside of memory", " li t1, 0x90000 << 10 | 0xc7", LOAD,
        "load access fault", "outside of memory", "no device is at 0x90000008", "physical 0x90000008",
    ),
    Mistake(
        "paging without a map of the kernel",
        SETUP + " la t0, root\n srli t0, t0, 12\n li t1, 8 << 60\n or t0, t0, t1\n csrw satp, t0\n sfence.vma\n nop" + TABLES,
        ("instruction page fault at ", "(mistake.S:", "(all zero) is invalid", "its handler handler", "cannot execute its first"),
    ),
]  # fmt: skip
LOOP = """
 la t0, again
 csrw stvec, t0
"""
HANDLERS = [
    Mistake(
        "a timer interrupt without a handler",
        " li a0, 100\n li a7, 0\n ecall\n li t0, 32\n csrs sie, t0\n csrsi sstatus, 2\nwork: addi s0, s0, 1\n j work",
        ("supervisor timer interrupt at work", "its handler at 0x0 cannot be fetched", "stvec is 0: it was not written"),
    ),
    Mistake(
        "a vector table without the entry of an interrupt",
        " la t0, table + 1\n csrw stvec, t0\n csrsi sie, 2\n csrsi sip, 2\n csrsi sstatus, 2\nwork: j work\n"
        " .balign 4\ntable: j handler\n .zero 64\n .balign 4\nhandler: j handler",
        (
            "illegal instruction at table+0x4", "zeros", "stvec is vectored (its lowest bits are 1)",
            "the supervisor software interrupt enters at entry 1",
        ),
    ),
    Mistake(
        "an interrupt whose handler is not mapped",
        PAGED + " li t0, 0x5000\n csrw stvec, t0\n csrw satp, s4\n sfence.vma\n csrsi sie, 2\n csrsi sip, 2\n csrsi sstatus, 2\n"
        "work: j work" + TABLES,
        (
            "supervisor software interrupt at ", "its handler 0x5000 cannot execute its first instruction",
            "instruction page fault", "check what was written to stvec",
        ),
    ),
    Mistake(
        "no handler", " li a0, 0x10\n ld a1, 0(a0)",
        ("load access fault at _start+", "its handler at 0x0 cannot be fetched", "stvec is 0: it was not written"),
    ),
    Mistake(
        "a handler that is not aligned",
        " la t0, odd\n csrw stvec, t0\n ebreak\n .balign 4\n c.nop\nodd: j odd",
        ("breakpoint at _start+", "stvec is 0", "or with an address that is no multiple of 4"),
    ),
    Mistake(
        "a handler at an address that is not mapped",
        PAGED + " li t0, 0x5000\n csrw stvec, t0\n csrw satp, s4\n sfence.vma\n ecall\n csrr a0, mhartid" + TABLES,
        (
            "illegal instruction at _start+", "mhartid", "its handler 0x5000 cannot execute its first instruction",
            "instruction page fault", "check what was written to stvec",
        ),
    ),
    Mistake(
        "a handler that faults on its own stack",
        PAGED + " la t0, push\n csrw stvec, t0\n csrw satp, s4\n sfence.vma\n li sp, 0x3000\n li a0, 0x2000\n ld a1, 0(a0)"
        "\n .balign 4\npush: addi sp, sp, -256\n sd ra, 0(sp)\n sret" + TABLES,
        (
            "load page fault at _start+", "loads 8 bytes from 0x2000", "its handler push", "on its own stack",
            "again and again", "by sscratch", "store page fault at push+",
        ),
    ),
    Mistake(
        "a handler that makes a mistake, and whose stack then grows over its code",
        SETUP + " la sp, stack\n ebreak\n .balign 4\n .type handler, @function\nhandler: addi sp, sp, -16\n j 1f\n .zero 32\n"
        "1: sd zero, 0(sp)\n sd zero, 8(sp)\n fsd fa0, 4(sp)\n sret\n .zero 64\nstack:",
        ("illegal instruction at handler+", "`fsd fa0, 4(sp)`: F is off", "its handler handler", "again and again"),
    ),
    Mistake(
        "an access whose code is overwritten before anything is told",
        SETUP + " li a0, 0x10\nload: ld a1, 0(a0)\n .balign 4\nhandler: la t0, load\n sd zero, 0(t0)\n1: j 1b",
        ("load access fault at load", "an instruction that cannot be seen any more loads from 0x10: outside of memory"),
    ),
    Mistake(
        "a handler that makes the mistake itself",
        LOOP + " ebreak\n .balign 4\nagain: nop\n csrr a0, mhartid\n sret",
        ("breakpoint at _start+", "its handler again", "traps itself, again and again:", "reads a CSR of M mode"),
    ),
    Mistake(
        "an ecall that is returned to", LOOP + USER + " li a7, 64\n ecall\n j user\n .balign 4\nagain: sret",
        (
            "ecall from U mode at user+", "(mistake.S:", "`ecall` with a7 = 0x40", "again", "returns (sret) to the ecall itself",
            "it must add 4 to sepc",
        ),
    ),
    Mistake(
        "an ebreak that is returned to", LOOP + " ebreak\n .balign 4\nagain: nop\n sret",
        ("breakpoint at _start+", "returns (sret) to the same instruction", "it must add 4 to sepc (2 for"),
    ),
    Mistake(
        "paging turned on without a mapping for the code that does it",
        " la t0, again\n csrw stvec, t0\n la t1, empty\n srli t1, t1, 12\n li t2, 8 << 60\n or t1, t1, t2\n csrw satp, t1\n"
        " addi s1, s1, 1\n1: addi s1, s1, 1\n j 1b\n .balign 4\nagain: j again\n .bss\n .balign 4096\nempty: .skip 4096",
        ("instruction page fault at _start+", "its handler again", "double fault"),
    ),
    Mistake(
        "a page fault that nothing mends",
        PAGED + " la t0, again\n csrw stvec, t0\n csrw satp, s4\n sfence.vma\n li a0, 0x2000\n ld a1, 0(a0)"
        "\n .balign 4\nagain: sfence.vma\n sret" + TABLES,
        ("load page fault at _start+", "from 0x2000", "to the same instruction, for ever", "has not mended what refuses"),
    ),
    Mistake(
        "an illegal instruction that is returned to", LOOP + " csrr a0, mhartid\n .balign 4\nagain: nop\n sret",
        ("`csrr a0, mhartid`", "for ever: it must deal with the instruction and move sepc behind it, or stop"),
    ),
    Mistake(
        "a timer interrupt that nothing clears",
        " la t0, again\n csrw stvec, t0\n li a0, 100\n li a7, 0\n ecall\n li t0, 32\n csrs sie, t0\n csrsi sstatus, 2\n"
        "work: addi s0, s0, 1\n j work\n .balign 4\nagain: nop\n sret",
        ("supervisor timer interrupt at work", "again and again", "its handler again", "executes nothing more", "set_timer"),
    ),
    Mistake(
        "a software interrupt that is allowed again before it is cleared",
        " la t0, again\n csrw stvec, t0\n csrsi sie, 2\n csrsi sip, 2\n csrsi sstatus, 2\nwork: j work\n .balign 4\n"
        "again: csrsi sstatus, 2\n nop\n sret",
        ("supervisor software interrupt at again", "allows interrupts while it is pending", "clear sip.SSIP"),
    ),
    Mistake(
        "S mode without PMP",
        " la t0, main\n csrw mepc, t0\n li t0, 0x1800\n csrc mstatus, t0\n li t0, 0x800\n csrs mstatus, t0\n mret\nmain: j main",
        ("instruction access fault at main", "no PMP entry is on, and S mode needs one", "mtvec is 0"),
        firmware="none", fidelities=("exact",),
    ),
    Mistake(
        "PMP that lets S mode read only",
        " la t0, handler\n csrw mtvec, t0\n li t0, -1\n csrw pmpaddr0, t0\n li t0, 0x1d\n csrw pmpcfg0, t0\n la t0, main\n"
        " csrw mepc, t0\n li t0, 0x1800\n csrc mstatus, t0\n li t0, 0x800\n csrs mstatus, t0\n mret\nmain: la a0, page\n"
        " sd a1, 0(a0)" + TABLES,
        ("store access fault at main+", "PMP entry 0 (0x0..0xffffffffffffff), the first that matches, gives S mode rx only"),
        firmware="none", fidelities=("exact",),
    ),
    Mistake(
        "PMP that ends too early",
        " la t0, handler\n csrw mtvec, t0\n la t0, page + 8\n srli t0, t0, 2\n csrw pmpaddr0, t0\n li t0, 0xf\n csrw pmpcfg0, t0\n"
        " la t0, main\n csrw mepc, t0\n li t0, 0x1800\n csrc mstatus, t0\n li t0, 0x800\n csrs mstatus, t0\n mret\n"
        "main: la a0, page\n ld a1, 0(a0)\n ld a1, 16(a0)" + TABLES,
        ("load access fault at main+", "`ld a1, 0x10(a0)`", "no PMP entry matches it, and S mode needs one"),
        firmware="none", fidelities=("exact",),
    ),
    Mistake(
        "mret without MPP, into U mode",
        " la t0, handler\n csrw mtvec, t0\n li t0, -1\n csrw pmpaddr0, t0\n li t0, 0x1f\n csrw pmpcfg0, t0\n la t0, main\n"
        " csrw mepc, t0\n mret\nmain: csrw stvec, zero" + TABLES,
        ("illegal instruction at main", "`csrw stvec, zero` writes a CSR of S mode in U mode"),
        firmware="none",
    ),
]  # fmt: skip
MISTAKES = [*ACCESSES, *JUMPS, *CSRS, *EXTENSIONS, *PAGES, *HANDLERS]
