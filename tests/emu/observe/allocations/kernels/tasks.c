/* A heap with FreeRTOS's names and the layout of its heap_4: a list of free blocks by address, which join. */
typedef unsigned long u64;
#define SIZE 16384
typedef struct link { struct link *next; u64 size; } link;
link xStart, *pxEnd;
static char space[SIZE] __attribute__((aligned(16)));

static void insert(link *block) {
    link *at = &xStart;
    while (at->next < block) at = at->next;
    if ((char *)at + at->size == (char *)block && at != &xStart) { at->size += block->size; block = at; }
    if ((char *)block + block->size == (char *)at->next && at->next != pxEnd) {
        block->size += at->next->size;
        block->next = at->next->next;
    } else if (block != at) block->next = at->next;
    if (block != at) at->next = block;
}
static void initialise(void) {
    pxEnd = (link *)(space + SIZE - sizeof(link));
    pxEnd->next = 0;
    link *first = (link *)space;
    first->size = SIZE - sizeof(link);
    first->next = pxEnd;
    xStart.next = first;
}
void *pvPortMalloc(u64 wanted) {
    if (!pxEnd) initialise();
    u64 size = ((wanted + 15) & ~15UL) + sizeof(link);
    link *before = &xStart;
    while (before->next != pxEnd && before->next->size < size) before = before->next;
    link *block = before->next;
    if (block == pxEnd) return 0;
    if (block->size - size > 2 * sizeof(link)) {
        link *rest = (link *)((char *)block + size);
        rest->size = block->size - size;
        rest->next = block->next;
        block->size = size;
        before->next = rest;
    } else before->next = block->next;
    return block + 1;
}
void vPortFree(void *memory) { if (memory) insert((link *)memory - 1); }
__attribute__((section(".text.entry"))) void _start(void) { for (;;); }
