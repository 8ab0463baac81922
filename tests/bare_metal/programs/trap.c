/* A trap handler in C: it tells what happened and goes on behind it. */
#include <stdint.h>
#include <stdio.h>

#define READ(csr) ({ uint64_t value; asm volatile("csrr %0, " #csr : "=r"(value)); value; })
#define WRITE(csr, value) asm volatile("csrw " #csr ", %0" ::"r"(value))

#define NOWHERE 0xa00000L

static volatile struct { uint64_t cause, tval, epc; int count; } last;

__attribute__((interrupt("machine"), aligned(4))) static void handler(void)
{
    last.cause = READ(mcause);
    last.tval = last.cause == 3 ? 0 : READ(mtval); /* for a breakpoint it is 0 or its address */
    last.epc = READ(mepc);
    last.count++;
    WRITE(mepc, last.epc + ((*(uint16_t *)last.epc & 3) == 3 ? 4 : 2));
}

#define TRY(what, ...) do { asm volatile(__VA_ARGS__); tell(what); } while (0)

static void tell(const char *what)
{
    printf("%-24s cause %2lu tval %#lx, %d traps\n", what, last.cause, last.tval, last.count);
}

int main(void)
{
    WRITE(mtvec, handler);
    TRY("ecall", "ecall");
    TRY("breakpoint", "ebreak");
    TRY("compressed breakpoint", "c.ebreak");
    TRY("no such CSR", ".insn i 0x73, 2, x0, x0, 0x5c0");
    TRY("an illegal instruction", ".4byte 0xffffffff");
    TRY("a load from nowhere", "ld zero, (%0)" ::"r"(NOWHERE));
    TRY("a store to nowhere", "sd zero, 8(%0)" ::"r"(NOWHERE));
    printf("misa %#lx, hart %lu\n", READ(misa) & 0x112d, READ(mhartid));
    return last.count;
}
