/* Frames and blocks with uCore's names and habits: pages by pointers into an array of struct Page, the first fit of a list
   of free runs; kmalloc cuts blocks, each with its units before it, out of such pages. */
typedef unsigned long u64;
typedef unsigned int u32;
struct list { struct list *prev, *next; };
struct Page { int ref; u64 flags; u32 property; struct list page_link, pra_page_link; u64 pra_vaddr; };
#define COUNT 256
struct Page array[COUNT], *pages;
const u64 nbase = 0x80400;
static struct { struct list free_list; u32 nr_free; } free_area;
#define page_of(entry) ((struct Page *)((char *)(entry) - __builtin_offsetof(struct Page, page_link)))

static void between(struct list *entry, struct list *prev, struct list *next) {
    entry->prev = prev; entry->next = next;
    prev->next = next->prev = entry;
}
static void unlink(struct list *entry) { entry->prev->next = entry->next; entry->next->prev = entry->prev; }
void init_memmap(void) {
    pages = array;
    free_area.free_list.prev = free_area.free_list.next = &free_area.free_list;
    pages->property = free_area.nr_free = COUNT;
    between(&pages->page_link, &free_area.free_list, &free_area.free_list);
}
struct Page *alloc_pages(u64 count) {
    if (!pages) init_memmap();
    for (struct list *at = free_area.free_list.next; at != &free_area.free_list; at = at->next) {
        struct Page *page = page_of(at);
        if (page->property < count) continue;
        if (page->property > count) {
            page[count].property = page->property - count;
            between(&page[count].page_link, at, at->next);
        }
        unlink(at);
        free_area.nr_free -= count;
        return page;
    }
    return 0;
}
void free_pages(struct Page *base, u64 count) {
    struct list *at = free_area.free_list.next;
    while (at != &free_area.free_list && page_of(at) < base) at = at->next;
    if (at != &free_area.free_list && page_of(at) == base) return; /* assert(!PageProperty(base)) */
    base->property = count;
    free_area.nr_free += count;
    between(&base->page_link, at->prev, at);
    if (at != &free_area.free_list && base + count == page_of(at)) { base->property += page_of(at)->property; unlink(at); }
    struct Page *before = page_of(base->page_link.prev);
    if (&before->page_link != &free_area.free_list && before + before->property == base) {
        before->property += base->property;
        unlink(&base->page_link);
    }
}

typedef struct slob { int units; struct slob *next; } slob;
static slob arena = {1, &arena}, *slobfree = &arena;
static void slob_free(void *block, u64 size) {
    slob *b = block, *at = slobfree;
    if (size) b->units = size / sizeof(slob);
    for (; !(b > at && b < at->next); at = at->next) if (at >= at->next && (b > at || b < at->next)) break;
    if (b + b->units == at->next) { b->units += at->next->units; b->next = at->next->next; } else b->next = at->next;
    if (at + at->units == b) { at->units += b->units; at->next = b->next; } else at->next = b;
    slobfree = at;
}
void *kmalloc(u64 size) {
    int units = (size + 2 * sizeof(slob) - 1) / sizeof(slob);
    for (slob *before = slobfree, *at = before->next;; before = at, at = at->next) {
        if (at->units > units) {
            slob *rest = before->next = at + units;
            rest->units = at->units - units;
            rest->next = at->next;
        } else if (at->units == units) before->next = at->next;
        if (at->units >= units) { at->units = units; slobfree = before; return at + 1; }
        if (at == slobfree) {
            struct Page *page = alloc_pages(1);
            if (!page) return 0;
            slob_free((void *)((page - pages + nbase) << 12), 4096);
            at = slobfree;
        }
    }
}
void kfree(void *block) { if (block) slob_free((slob *)block - 1, 0); }

#ifdef BLOCKS
#define SIZE_OF(chance) ((chance) % 600 + 1)
#define TAKE(size) kmalloc(size)
#define GIVE_BLOCK(block) kfree(block)
#else
#define SIZE_OF(chance) ((chance) % 5 + 1)
#define TAKE(size) alloc_pages(size)
#define GIVE_COUNT
#define GIVE(block, size) free_pages(block, size)
#endif
#include "work.h"
__attribute__((section(".text.entry"))) void _start(void) { for (;;); }
