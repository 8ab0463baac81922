/* A kernel with uCore's conventions: pages by pointers into an array of struct Page, blocks by kmalloc above them. */
typedef unsigned long u64;
typedef unsigned int u32;
#define FIRST 0x80400UL
#define COUNT 512
struct list { struct list *prev, *next; };
struct Page { int ref; u64 flags; u32 property; struct list page_link; u64 more; };
struct Page array[COUNT], *pages = array;
const u64 nbase = FIRST;

struct Page *alloc_pages(u64 count) {
    for (int at = 0; at + count <= COUNT; at++) {
        u64 free = 0;
        while (free < count && !pages[at + free].flags) free++;
        if (free < count) continue;
        for (u64 i = 0; i < count; i++) pages[at + i].flags = 1;
        return &pages[at];
    }
    return 0;
}
void free_pages(struct Page *base, u64 count) { for (u64 i = 0; i < count; i++) base[i].flags = 0; }

static u64 address(struct Page *page) { return ((u64)(page - pages) + nbase) << 12; }
struct page_of_blocks { struct Page *page; u64 used; } *current;
void *kmalloc(u64 size) {
    if (size > 2048) return (void *)address(alloc_pages((size + 4095) / 4096));
    size = (size + 15) & ~15UL;
    if (!current || current->used + size > 4096) {
        struct Page *page = alloc_pages(1);
        current = (void *)address(page);
        current->page = page;
        current->used = 32;
    }
    current->used += size;
    return (char *)current + current->used - size;
}
void kfree(void *block) { *(volatile char *)block = 0; }

u64 works(void) {
    struct Page *one = alloc_pages(1), *four = alloc_pages(4);
    void *block = kmalloc(100), *other = kmalloc(40);
    free_pages(one, 1);
    kfree(block);
    free_pages(four + 2, 2);
    *(volatile char *)other = 1;
    return (u64)(four - pages) + nbase;
}
__attribute__((section(".text.entry"))) void _start(void) { for (;;); }
