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
    *MTIMECMP = UINT64_MAX;
}

int main(void)
{
    uint64_t start = *MTIME;
    *MTIMECMP = UINT64_MAX;
    asm volatile("csrw mtvec, %0; csrs mie, %1" ::"r"(handler), "r"(MTIE));
    for (int tick = 1; tick <= 5; tick++) {
        *MTIMECMP = *MTIME + 10000;
        /* wfi ends for an interrupt that is held back, so none can come between the look at `ticks` and the sleep. */
        while (ticks < tick)
            asm volatile("wfi; csrs mstatus, %0; csrc mstatus, %0" ::"r"(MIE) : "memory");
        printf("tick %d, cause %#lx\n", ticks, cause);
    }
    printf("at least five periods have passed: %s\n", *MTIME - start >= 50000 ? "yes" : "no");
    return 0;
}
