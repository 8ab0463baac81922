/* A kernel with xv6's page allocator and habits: all of memory is freed first, freed pages are filled with junk. */
typedef unsigned long u64;
#define PAGE 4096UL
#define STOP 0x80800000UL
extern char end[];
struct run { struct run *next; };
struct { int locked; char *name; void *cpu; struct run *freelist; } kmem;

void kfree(void *page) {
    for (u64 i = 0; i < PAGE; i++) ((volatile char *)page)[i] = 1; /* catch what still points here */
    struct run *r = page;
    r->next = kmem.freelist;
    kmem.freelist = r;
}

void *kalloc(void) {
    struct run *r = kmem.freelist;
    if (r) kmem.freelist = r->next;
    if (r) for (u64 i = 0; i < PAGE; i++) ((volatile char *)r)[i] = 5;
    return r;
}

u64 *tables[8];
void kinit(void) {
    for (u64 page = ((u64)end + PAGE - 1) & -PAGE; page + PAGE <= STOP; page += PAGE) kfree((void *)page);
}

/* Correct: a tree of pages that is taken down again. */
void build(int depth) {
    if (depth < 0) return;
    tables[depth] = kalloc();
    for (int i = 0; i < 512; i++) tables[depth][i] = 0;
    build(depth - 1);
    kfree(tables[depth]);
    tables[depth] = 0;
}
u64 works(u64 rounds) {
    for (u64 i = 0; i < rounds; i++) build(7 & i);
    return 0;
}

/* Each of these has one mistake. */
void frees_twice(void) { void *page = kalloc(); kfree(page); kfree(page); }
void forgets(void) { for (int i = 0; i < 3; i++) *(volatile char *)kalloc() = 1; }
void keeps(void) { tables[1] = kalloc(); }
void frees_foreign(void) { kfree((void *)(STOP + 16 * PAGE)); }
void frees_inside(void) { char *page = kalloc(); struct run *r = (void *)(page + 64); r->next = 0; kfree(page + 64); }
void corrupts_the_list(void) { void *page = kalloc(); kfree(page); kfree(page); kalloc(); kalloc(); }

void start(void) { kinit(); register long a7 asm("a7") = 8; asm volatile("ecall" : : "r"(a7)); for (;;); }
__attribute__((naked, section(".text.entry"))) void _start(void) { asm volatile("la sp, stack_top\n call start"); }
char stack[8192] __attribute__((aligned(16)));
asm(".globl stack_top\n .set stack_top, stack + 8192");
