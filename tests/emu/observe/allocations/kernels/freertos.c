/* Heaps with FreeRTOS's names and the layouts and habits of its heap_1 to heap_5: -DHEAP=1 to 5.
 * -DPROTECTED: links of 4 and 5 as with configENABLE_HEAP_PROTECTOR. */
typedef unsigned long u64;
#define UP(size) (((size) + 15) & ~15UL)
typedef struct link { struct link *next; u64 size; } link;
u64 xFreeBytesRemaining;

#if HEAP == 1 /* what is next is handed out, and never comes back */
static char space[1 << 16] __attribute__((aligned(16)));
static u64 next;
void *pvPortMalloc(u64 wanted) {
    if (next + UP(wanted) > sizeof space) return 0;
    next += UP(wanted);
    return space + next - UP(wanted);
}
void vPortFree(void *memory) { if (memory) for (;;); /* configASSERT */ }
#define NEVER_FREES
#elif HEAP == 3 /* the C library's, with the scheduler held */
void *malloc(u64);
void free(void *);
char heap[1 << 16] __attribute__((aligned(16)));
volatile int suspended;
void *pvPortMalloc(u64 wanted) { suspended++; void *memory = malloc(wanted); suspended--; return memory; }
void vPortFree(void *memory) { if (memory) { suspended++; free(memory); suspended--; } }
#else
#ifdef PROTECTED
static u64 xHeapCanary;
#define LINK(block) ((link *)((u64)(block) ^ xHeapCanary))
#else
#define LINK(block) (block)
#endif
static link xStart __attribute__((used));
#if HEAP == 2 /* free blocks by size, which never join; xEnd has a size larger than any */
static link xEnd;
#define END (&xEnd)
static void insert(link *block) {
    link *at = &xStart;
    while (at->next->size < block->size) at = at->next;
    block->next = at->next;
    at->next = block;
}
#else /* by address, and they join */
static link *pxEnd;
#define END pxEnd
static void insert(link *block) {
    link *at = &xStart;
    while (LINK(at->next) < block) at = LINK(at->next);
    if ((char *)at + at->size == (char *)block) { at->size += block->size; block = at; }
    if ((char *)block + block->size == (char *)LINK(at->next) && LINK(at->next) != pxEnd) {
        block->size += LINK(at->next)->size;
        block->next = LINK(at->next)->next;
    } else if (block != at) block->next = at->next;
    if (block != at) at->next = LINK(block);
}
#endif
static void region(char *start, u64 size) { /* regions come in the order of their addresses */
    link *first = (link *)start;
#if HEAP == 2
    xEnd.size = size;
    first->size = size;
    first->next = END;
    xStart.next = first;
#else
    link *before = pxEnd, *last = (link *)(start + size) - 1;
    if (before) before->next = LINK(first); else xStart.next = LINK(first);
    if (before) before->size = 0;
    pxEnd = last;
    last->next = LINK(0);
    last->size = 0;
    first->size = size - sizeof(link);
    first->next = LINK(last);
#endif
    xFreeBytesRemaining += first->size;
}
static char space[1 << 15] __attribute__((aligned(16)));
#if HEAP == 5
static char more[1 << 14] __attribute__((aligned(16)));
void vPortDefineHeapRegions(void) {
    if (space < more) { region(space, sizeof space); region(more, sizeof more); }
    else { region(more, sizeof more); region(space, sizeof space); }
}
#endif
void *pvPortMalloc(u64 wanted) {
    if (!xStart.next) {
#ifdef PROTECTED
        xHeapCanary = 0x5bd1e995a7c3f06eUL;
#endif
#if HEAP == 5
        vPortDefineHeapRegions();
#else
        region(space, sizeof space);
#endif
    }
    u64 size = UP(wanted) + sizeof(link);
    link *before = &xStart, *block = LINK(xStart.next);
    while (block->size < size && block->next != LINK(0)) { before = block; block = LINK(block->next); }
    if (block == END) return 0;
    before->next = block->next;
    if (block->size - size > 2 * sizeof(link)) {
        link *rest = (link *)((char *)block + size);
        rest->size = block->size - size;
        block->size = size;
        insert(rest);
    }
    xFreeBytesRemaining -= block->size;
#if HEAP != 2
    block->size |= 1UL << 63;
    block->next = LINK(0);
#endif
    return block + 1;
}
void vPortFree(void *memory) {
    link *block = (link *)memory - 1;
    if (!memory) return;
#if HEAP != 2
    if (!(block->size >> 63)) return; /* configASSERT */
    block->size &= ~(1UL << 63);
#endif
    xFreeBytesRemaining += block->size;
    insert(block);
}
#endif
#define SIZE_OF(chance) ((chance) % 600 + 1)
#define TAKE(size) pvPortMalloc(size)
#define GIVE_BLOCK(block) vPortFree(block)
#include "work.h"
__attribute__((section(".text.entry"))) void _start(void) { for (;;); }
