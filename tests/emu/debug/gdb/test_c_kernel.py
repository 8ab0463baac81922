"""A session of Debian's gdb with a kernel in C: its lines and types, into a trap and out of it, and back in time."""

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

__attribute__((interrupt("supervisor"))) void kernelvec(void) {
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
    asm volatile("li a7, 8; ecall");
    for (;;) ;
}

asm(".globl _start\\n_start: la sp, stack\\n call main\\n .bss\\n .balign 16\\n .skip 4096\\nstack:");
"""


@pytest.fixture(scope="module")
def kernel(oracle: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "kernel.c").write_text(SOURCE)
    subprocess.run(
        [oracle("riscv64-unknown-elf-gcc"), "-g", "-O0", "-nostdlib", "-ffreestanding", "-mcmodel=medany",
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
    assert re.search(r"Line 32 of \"kernel\.c\"", shown)
    assert "root 1" in shown
    changes = re.findall(r"Old value = (\d+)\nNew value = (\d+)\n.*(kalloc|main) \(\) at kernel\.c:(\d+)", shown)
    # Backwards it is found by its place in memory: the store by the other address, too.
    assert changes == [("1", "8", "kalloc", "18"), ("8", "7", "kalloc", "17"), ("7", "1", "main", "32")]
