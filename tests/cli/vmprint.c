/* A kernel with xv6's page tables that prints them by `vmprint`, as xv6's exercise on page tables has students write it. */
typedef unsigned long uint64;
typedef uint64 pte_t;
typedef uint64 *pagetable_t;
#define PGSIZE 4096UL
#define PTE_V (1L << 0)
#define PTE_R (1L << 1)
#define PTE_W (1L << 2)
#define PTE_X (1L << 3)
#define PTE_U (1L << 4)
#define PA2PTE(pa) ((((uint64)pa) >> 12) << 10)
#define PTE2PA(pte) (((pte) >> 10) << 12)
#define PX(level, va) ((((uint64)(va)) >> (12 + 9 * (level))) & 0x1FF)
#define MAXVA (1L << (9 + 9 + 9 + 12 - 1))
#define TRAMPOLINE (MAXVA - PGSIZE)
#define TRAPFRAME (TRAMPOLINE - PGSIZE)

static char pages[64][PGSIZE] __attribute__((aligned(4096)));
static int used;
static void *kalloc(void) { return pages[used++]; }

static void putc(char c) {
    register long a0 asm("a0") = c, a7 asm("a7") = 1;
    asm volatile("ecall" : "+r"(a0) : "r"(a7) : "memory");
}
static void print(const char *text) { while (*text) putc(*text++); }
static void printptr(uint64 x) {
    print("0x");
    for (int i = 60; i >= 0; i -= 4) putc("0123456789abcdef"[x >> i & 15]);
}
static void printint(int x) { if (x > 9) printint(x / 10); putc('0' + x % 10); }

static void map(pagetable_t pagetable, uint64 va, uint64 pa, int level, int perm) {
    for (int each = 2; each > level; each--) {
        pte_t *pte = &pagetable[PX(each, va)];
        if (!(*pte & PTE_V)) *pte = PA2PTE(kalloc()) | PTE_V;
        pagetable = (pagetable_t)PTE2PA(*pte);
    }
    pagetable[PX(level, va)] = PA2PTE(pa) | perm | PTE_V;
}

static void vmprint_level(pagetable_t pagetable, int depth) {
    for (int i = 0; i < 512; i++) {
        pte_t pte = pagetable[i];
        if (!(pte & PTE_V)) continue;
        for (int each = 0; each < depth; each++) print(" ..");
        printint(i);
        print(": pte ");
        printptr(pte);
        print(" pa ");
        printptr(PTE2PA(pte));
        putc('\n');
        if ((pte & (PTE_R | PTE_W | PTE_X)) == 0) vmprint_level((pagetable_t)PTE2PA(pte), depth + 1);
    }
}
void vmprint(pagetable_t pagetable) {
    print("page table ");
    printptr((uint64)pagetable);
    putc('\n');
    vmprint_level(pagetable, 1);
}

__attribute__((noinline)) void done(void) { asm volatile("li a7, 8\n ecall"); }
void start(void) {
    pagetable_t pagetable = kalloc();
    for (uint64 va = 0; va < 4 * PGSIZE; va += PGSIZE)
        map(pagetable, va, (uint64)kalloc(), 0, va == 2 * PGSIZE ? 0x40 | PTE_R | PTE_W : PTE_R | PTE_W | PTE_X | PTE_U);
    map(pagetable, 0x10000000, 0x10000000, 0, PTE_R | PTE_W);
    map(pagetable, 0x80200000, 0x80200000, 1, 0xC0 | PTE_R | PTE_W | PTE_X); /* the kernel, in a large page */
    map(pagetable, TRAPFRAME, (uint64)kalloc(), 0, PTE_R | PTE_W);
    map(pagetable, TRAMPOLINE, (uint64)start & -PGSIZE, 0, PTE_R | PTE_X);
    vmprint(pagetable);
    asm volatile("sfence.vma\n csrw satp, %0\n sfence.vma" : : "r"(8L << 60 | (uint64)pagetable >> 12));
    done();
}
__attribute__((naked, section(".text.entry"))) void _start(void) { asm volatile("la sp, pages + 0x40000\n call start"); }
