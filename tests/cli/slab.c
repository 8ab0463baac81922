/* A kernel whose objects come from slabs, which are cut out of the pages of a buddy allocator: none of its names is known.
   -DMISTAKE=1 to 11: one of the lines that end with `MISTAKE n`; -DALLOCATOR= lets the compiler inline its functions. */
typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned char u8;
#define PAGE 4096UL
#define PAGES 256
#define HIGHEST 8
#define FIRST 0x80400000UL
#ifndef ALLOCATOR
#define ALLOCATOR __attribute__((noinline))
#endif
#define IF(n, ...) do { if (MISTAKE == (n)) { __VA_ARGS__; } } while (0)

struct page { struct page *next, *prev; u8 order, is_free; } pages[PAGES], heads[HIGHEST + 1];
struct object { struct object *next; };
struct slabs { u64 size; struct object *first; } small = {32, 0}, middle = {128, 0}, large = {1024, 0};

static void insert(struct page *head, struct page *page) {
    page->next = head->next, page->prev = head;
    head->next->prev = page, head->next = page;
}
static void take_out(struct page *page) { page->next->prev = page->prev, page->prev->next = page->next; }

ALLOCATOR void buddies_begin(void) {
    for (int order = 0; order <= HIGHEST; order++) heads[order].next = heads[order].prev = &heads[order];
    pages[0].order = HIGHEST, pages[0].is_free = 1;
    insert(&heads[HIGHEST], pages);
}
ALLOCATOR void *buddies_get(u32 wanted) {
    u32 order = wanted;
    while (order <= HIGHEST && heads[order].next == &heads[order]) order++;
    if (order > HIGHEST) return 0;
    struct page *page = heads[order].next;
    take_out(page);
    while (order > wanted) {
        struct page *half = page + (1UL << --order);
        half->order = order, half->is_free = 1;
        insert(&heads[order], half);
    }
    page->order = wanted, page->is_free = 0;
    return (void *)(FIRST + (u64)(page - pages) * PAGE);
}
ALLOCATOR void buddies_put(void *address, u32 order) {
    u64 number = ((u64)address - FIRST) / PAGE;
    for (; order < HIGHEST; order++) {
        struct page *buddy = &pages[number ^ 1UL << order];
        if (!buddy->is_free || buddy->order != order) break;
        take_out(buddy);
        buddy->is_free = 0;
        number &= ~(1UL << order);
    }
    pages[number].order = order, pages[number].is_free = 1;
    insert(&heads[order], &pages[number]);
}

static struct slabs *slabs_for(u64 size) { return size <= 32 ? &small : size <= 128 ? &middle : &large; }
static void give(struct slabs *slabs, struct object *object) { object->next = slabs->first, slabs->first = object; }
ALLOCATOR void *object_get(u64 size) {
    struct slabs *slabs = slabs_for(size);
    if (!slabs->first) {
        char *page = buddies_get(0);
        for (u64 at = 0; at + slabs->size <= PAGE; at += slabs->size) give(slabs, (struct object *)(page + at));
    }
    struct object *object = slabs->first;
    slabs->first = object->next;
    return object;
}
ALLOCATOR void object_put(void *object, u64 size) { give(slabs_for(size), object); }

struct task { u64 number; char name[24]; struct task *parent; u64 ticks; } *current;
struct message { u64 length; u8 text[50]; };
volatile u64 sink;

struct task *task_new(u64 number) {
    struct task *task = object_get(sizeof *task);
    task->number = number, task->parent = current, task->ticks = 0;
    for (int at = 0; at < 24; at++) ((volatile char *)task->name)[at] = 'a' + at;
    IF(1, for (int at = 24; at < 41; at++) ((volatile char *)task->name)[at] = 'z'); // MISTAKE 1
    return task;
}
void task_end(struct task *task) {
    object_put(task, sizeof *task);
    IF(2, ((volatile struct task *)task)->ticks = 1); // MISTAKE 2
    IF(3, object_put(task, sizeof *task)); // MISTAKE 3
    sink++;
}
static void fill(volatile u8 *at, u64 count) { while (count--) *at++ = 7; }
static void work(void) {
    struct task *tasks[40];
    for (u64 number = 0; number < 40; number++) tasks[number] = task_new(number);
    for (u64 number = 0; number < 40; number += 2) task_end(tasks[number]);
    struct message *message = object_get(sizeof *message);
    fill(message->text, 50);
    IF(4, fill(message->text, 64)); // MISTAKE 4
    IF(5, sink = ((volatile u8 *)message)[-8]); // MISTAKE 5
    IF(6, object_put((char *)message + 8, sizeof *message)); // MISTAKE 6
    if (MISTAKE != 7) object_put(message, sizeof *message);
    u8 *four = buddies_get(2);
    fill(four, 4 * PAGE);
    IF(8, four[4 * PAGE] = 1); // MISTAKE 8
    buddies_put(four, 2);
    IF(9, sink = *(volatile u8 *)(four + 5000)); // MISTAKE 9
    IF(10, buddies_put(four, 2)); // MISTAKE 10
    IF(11, *(volatile u64 *)(FIRST + 200 * PAGE) = 1); // MISTAKE 11
    for (u64 number = 1; number < 40; number += 2) task_end(tasks[number]);
}
void begin(void) {
    buddies_begin();
    work();
    __asm__ volatile("li a7, 8\n ecall");
    for (;;);
}
char stack[8192] __attribute__((aligned(16)));
__asm__(".section .text.entry, \"ax\"\n.globl _start\n_start: la sp, stack + 8192\n j begin\n");
