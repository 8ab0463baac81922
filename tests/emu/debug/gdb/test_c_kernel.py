"""Sessions of Debian's gdb with a kernel in C: lines, types, traps and processes, and back to who broke a mapping."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from emu.machine import Machine, MachineConfig
from tests.emu.debug.gdb.conftest import Served

SOURCE = """\
typedef unsigned long pte_t;
struct frame { struct frame *next; };
struct { struct frame *freelist; int taken; } kmem;
pte_t root[512] __attribute__((aligned(4096)));
char pages[4][4096] __attribute__((aligned(4096)));

__attribute__((interrupt("supervisor"), aligned(4))) void kernelvec(void) {
    unsigned long cause, address;
    asm volatile("csrr %0, scause; csrr %1, stval" : "=r"(cause), "=r"(address));
    root[address >> 30] = 0x80000000 >> 2 | 0xcf;
    asm volatile("sfence.vma");
}

void *kalloc(void) {
    struct frame *taken = kmem.freelist;
    kmem.freelist = taken->next;
    kmem.taken++;
    return taken;
}

void live(void);

void main(void) {
    for (int i = 0; i < 4; i++) {
        struct frame *page = (struct frame *)pages[i];
        page->next = kmem.freelist;
        kmem.freelist = page;
    }
    root[2] = 0x80000000 >> 2 | 0xcf;
    asm volatile("csrw stvec, %0" :: "r"(kernelvec));
    asm volatile("csrw satp, %0; sfence.vma" :: "r"(8UL << 60 | (unsigned long)root >> 12));
    int *lazy = (int *)(0x40000000UL + ((unsigned long)&kmem.taken & 0x3fffffff));
    kalloc();
    *lazy += 6;
    kalloc();
    live();
}

struct proc { int pid; pte_t *pagetable; unsigned long epc; } proc[2];
pte_t space[2][512] __attribute__((aligned(4096)));
int running, calls, counter;
void user(void);

void panic(void) { for (;;) ; }

void tidy(struct proc *p) {
    p->pagetable[1] &= ~4UL;
}

__attribute__((interrupt("supervisor"), aligned(4))) void uservec(void) {
    unsigned long cause, epc;
    asm volatile("csrr %0, scause; csrr %1, sepc" : "=r"(cause), "=r"(epc));
    if (cause != 8)
        panic();
    if (++calls == 6)
        tidy(&proc[1]);
    proc[running].epc = epc + 4;
    running = !running;
    asm volatile("csrw sepc, %0" :: "r"(proc[running].epc));
    asm volatile("csrw satp, %0; sfence.vma" :: "r"(8UL << 60 | (unsigned long)proc[running].pagetable >> 12));
}

void live(void) {
    for (int i = 0; i < 2; i++) {
        proc[i] = (struct proc){i + 1, space[i], (unsigned long)user & 0x3fffffff};
        space[i][0] = 0x80000000 >> 2 | 0xdb;
        space[i][1] = 0x80000000 >> 2 | 0xd7;
        space[i][2] = 0x80000000 >> 2 | 0xcf;
    }
    asm volatile("csrw stvec, %0; csrc sstatus, %1" :: "r"(uservec), "r"(0x100));
    asm volatile("csrw satp, %0; sfence.vma" :: "r"(8UL << 60 | (unsigned long)space[0] >> 12));
    asm volatile("csrw sepc, %0; sret" :: "r"(proc[0].epc));
}

asm(".globl user\\nuser: la t0, counter\\n li t1, 0x40000000\\n add t0, t0, t1\\n"
    "1: lw t1, (t0)\\n addi t1, t1, 1\\n sw t1, (t0)\\n ecall\\n j 1b\\n");

asm(".globl _start\\n_start: la sp, stack\\n call main\\n .bss\\n .balign 16\\n .skip 4096\\nstack:");
"""


@pytest.fixture(scope="module")
def kernel(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "kernel.c").write_text(SOURCE)
    subprocess.run(
        [oracle("riscv64-unknown-elf-gcc"), "-g", "-O0", "-nostdlib", "-ffreestanding", "-mcmodel=medany",
         "-march=rv64imac_zicsr", "-mabi=lp64",
         "-Wl,-Ttext=0x80200000", "-o", "kernel.elf", "kernel.c"],
        cwd=folder, check=True,
    )  # fmt: skip
    return folder / "kernel.elf"


@pytest.mark.slow
def test_lines_types_traps_and_time(
    kernel: Path, fidelity: str, serve: Callable[..., Served], gdb: Callable[..., str]
) -> None:
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20))
    machine.load(kernel)
    shown = gdb(
        serve(machine, halted=True).port, kernel,
        "break kalloc", "continue", "finish", "print kmem.taken", "print *kmem.freelist->next", "delete",
        "tbreak kernelvec", "continue", "printf \"cause %ld\\n\", $scause", "info line *$sepc",
        "tbreak *$sepc", "continue", "printf \"root %d\\n\", root[1] != 0", "stepi", "stepi", "stepi",
        "watch kmem.taken", "continue", "reverse-continue", "reverse-continue", "kill",
    )  # fmt: skip
    assert re.search(r"Breakpoint 1, kalloc \(\) at kernel\.c:15", shown)
    pages = r"\$1 = \(void \*\) 0x[0-9a-f]+ <pages\+12288>\n\$2 = 1\n\$3 = \{next = 0x[0-9a-f]+ <pages>\}"
    assert re.search(pages, shown)
    assert "cause 13" in shown
    assert re.search(r"Line 34 of \"kernel\.c\"", shown)
    assert "root 1" in shown
    changes = re.findall(r"Old value = (\d+)\nNew value = (\d+)\n.*(kalloc|main) \(\) at kernel\.c:(\d+)", shown)
    # Backwards it is found by its place in memory: the store by the other address, too.
    assert changes == [("1", "8", "kalloc", "18"), ("8", "7", "kalloc", "17"), ("7", "1", "main", "34")]


@pytest.mark.slow
def test_a_process_by_its_number_and_who_took_its_right_to_write(
    kernel: Path, fidelity: str, serve: Callable[..., Served], gdb: Callable[..., str]
) -> None:
    machine = Machine(MachineConfig(fidelity=fidelity, ram_size=16 << 20))
    machine.load(kernel)
    program, second = (machine.address_of(name) for name in ("user", "space"))
    stops = 'printf "calls %d, priv %d, satp %lx\\n", calls, $priv, $satp'
    shown = gdb(
        serve(machine, halted=True).port, kernel, "tbreak uservec", "continue",
        "print proc[1]", f"monitor break {(program & 0x3fffffff) + 18:#x} in 2", "continue", stops, "continue", stops,
        "monitor delete 1", "tbreak panic", "continue", "bt 2", "printf \"cause %d\\n\", $scause",
        "watch proc[1].pagetable[1]", "reverse-continue", "x/i $pc", "bt", "kill",
    )  # fmt: skip
    satp = f"{8 << 60 | second + 4096 >> 12:x}"
    assert re.findall(r"calls (\d+), priv (\d), satp (\w+)", shown) == [("1", "0", satp), ("3", "0", satp)]
    assert re.search(r"#0 .* panic \(\) at kernel\.c:44\n#1 .* uservec \(\).*\ncause 15", shown)
    undone = re.search(r"Old value = (\d+)\nNew value = (\d+)\n.* tidy \(p=0x\w+ <proc\+24>\) at kernel\.c:47", shown)
    assert undone
    assert [int(value) for value in undone.groups()] == [0x200000D3, 0x200000D7]
    assert re.search(r"=> 0x\w+ <tidy\+\d+>:\tsd\t.*\n#0 .*\n#1 .* uservec \(\) at kernel\.c:56", shown)
