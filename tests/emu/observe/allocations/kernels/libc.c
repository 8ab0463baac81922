/* malloc and free of a C library that the link adds, and where its heap lies. */
typedef unsigned long u64;
void *malloc(u64);
void free(void *);
char heap[1 << 16] __attribute__((aligned(16)));
#ifdef NEWLIB /* what newlib asks of a board */
static char reent[4096];
char *_impure_ptr = reent;
void *_sbrk_r(void *unused, long more) {
    static u64 used;
    (void)unused;
    if (used + more > sizeof heap) return (void *)-1;
    used += more;
    return heap + used - more;
}
void __malloc_lock(void *unused) { (void)unused; }
void __malloc_unlock(void *unused) { (void)unused; }
#endif
#define SIZE_OF(chance) ((chance) % 600 + 1)
#define TAKE(size) malloc(size)
#define GIVE_BLOCK(block) free(block)
#include "work.h"
__attribute__((naked, section(".text.entry"))) void _start(void) {
    asm volatile("li sp, 0x80900000\n li tp, 0x80880000\n call works\n li a7, 8\n ecall");
}
