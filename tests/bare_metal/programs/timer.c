/* A timer interrupt in C: the CLINT's, five times, while main waits. */
#include <stdint.h>
#include <stdio.h>

#define MTIMECMP ((volatile uint64_t *)0x2004000)
#define MTIME ((volatile uint64_t *)0x200bff8)
#define MTIE 0x80
#define MIE 8

static volatile int ticks;
static volatile uint64_t cause;

__attribute__((interrupt("machine"), aligned(4))) static void handler(void)
{
    asm volatile("csrr %0, mcause" : "=r"(*(uint64_t *)&cause));
    ticks++;
    *MTIMECMP = ticks < 5 ? *MTIME + 10000 : UINT64_MAX;
}

int main(void)
{
    uint64_t start = *MTIME;
    *MTIMECMP = start + 10000;
    asm volatile("csrw mtvec, %0; csrs mie, %1; csrs mstatus, %2" ::"r"(handler), "r"(MTIE), "r"(MIE));
    for (int seen = 0; seen < 5;) {
        asm volatile("wfi");
        if (ticks != seen)
            printf("tick %d, cause %#lx\n", seen = ticks, cause);
    }
    printf("at least five periods have passed: %s\n", *MTIME - start >= 50000 ? "yes" : "no");
    return 0;
}
