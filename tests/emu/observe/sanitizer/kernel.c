/* A C kernel with xv6's page allocator and habits, and size classes on top of it: free objects are a list in themselves. */
typedef unsigned long u64;
#define PAGE 4096UL
#define STOP 0x80400000UL
extern char end[];
struct run { struct run *next; };
static struct run *free_pages, *classes[8];
volatile u64 sink;

static void fill(char *p, int byte, u64 count) { for (u64 i = 0; i < count; i++) ((volatile char *)p)[i] = byte; }
void kfree(void *page) {
    fill(page, 1, PAGE); /* junk, to catch dangling references */
    struct run *r = page;
    r->next = free_pages;
    free_pages = r;
}
void *kalloc(void) {
    struct run *r = free_pages;
    if (r) { free_pages = r->next; fill((char *)r, 5, PAGE); }
    return r;
}
void kinit(void) { for (u64 p = ((u64)end + PAGE - 1) & -PAGE; p + PAGE <= STOP; p += PAGE) kfree((void *)p); }

static int class_of(u64 n) { int c = 0; while ((16UL << c) < n) c++; return c; }
static u64 sizes[4096]; /* of each object's class, by page */
void *blk_alloc(u64 n) {
    int c = class_of(n);
    if (!classes[c]) {
        char *page = kalloc();
        sizes[((u64)page >> 12) & 4095] = c;
        for (u64 at = PAGE; at >= 16UL << c; at -= 16UL << c) {
            struct run *r = (void *)(page + at - (16UL << c));
            r->next = classes[c];
            classes[c] = r;
        }
    }
    struct run *r = classes[c];
    classes[c] = r->next;
    return r;
}
void blk_free(void *p) {
    struct run *r = p;
    int c = sizes[((u64)p >> 12) & 4095];
    r->next = classes[c];
    classes[c] = r;
}
void done(void) { sink++; }

/* Correct work of all sizes, as a sequence of random choices. */
void works(u64 seed, u64 rounds) {
    static char *held[64];
    static u64 length[64];
    for (u64 i = 0; i < rounds; i++) {
        seed = seed * 6364136223846793005UL + 1442695040888963407UL;
        u64 at = seed >> 58, n = 1 + (seed >> 33) % 2000;
        if (held[at]) {
            for (u64 k = 0; k < length[at]; k++) if (held[at][k] != (char)(at + k)) for (;;);
            if (length[at] == PAGE) kfree(held[at]); else blk_free(held[at]);
            held[at] = 0;
        } else {
            length[at] = seed >> 40 & 7 ? n : PAGE;
            held[at] = length[at] == PAGE ? kalloc() : blk_alloc(n);
            for (u64 k = 0; k < length[at]; k++) held[at][k] = at + k;
        }
    }
}
u64 deeper(u64 n) { volatile char room[200]; room[n & 127] = n; return n ? deeper(n - 1) + room[3] : 0; }

void start(void) { kinit(); register long a7 asm("a7") = 8; asm volatile("ecall" : : "r"(a7)); for (;;); }
__attribute__((naked, section(".text.entry"))) void _start(void) { asm volatile("la sp, boot_stack_top\n call start"); }
char boot_stack[8192] __attribute__((aligned(4096)));
asm(".globl boot_stack_top\n .set boot_stack_top, boot_stack + 8192");
