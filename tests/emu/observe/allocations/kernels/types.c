/* Calls of an allocator whose results are stored in all the ways that C has, or are not stored at all. */
typedef unsigned long u64;
struct text { char *bytes; u64 length; };
struct node { struct node *next; struct text *text; char *name; };
typedef u64 *table_t;
struct node *list;
struct text *texts[8];
struct { int count; struct node *first; } holder;
static char space[1 << 14] __attribute__((aligned(16)));
static u64 used;

void *kmalloc(u64 size) { void *block = space + used; used += (size + 15) & ~15UL; return block; }
void kfree(void *block) { *(volatile char *)block = 0; }
void *zeroed(u64 size) {
    void *block = kmalloc(size);
    for (u64 at = 0; at < size; at++) ((volatile char *)block)[at] = 0;
    return block;
}

void declared(void) { struct node *node = kmalloc(sizeof *node); node->next = list; list = node; }
void assigned(void) { struct node *node; node = kmalloc(sizeof *node); if (!node) return; node->next = 0; list = node; }
void global(void) { list = kmalloc(sizeof(struct node)); }
void inside(void) { holder.first = kmalloc(sizeof(struct node)); }
void member(void) { list->text = kmalloc(sizeof(struct text)); }
void letters(void) { list->name = kmalloc(5); }
void element(int at) { texts[at & 7] = kmalloc(sizeof(struct text)); }
void several(void) { struct text *four = kmalloc(4 * sizeof *four); texts[1] = four; }
void wrapped(void) { struct text *text = zeroed(sizeof *text); texts[2] = text; }
struct node *returned(void) { struct node *node = kmalloc(sizeof(struct node)); node->next = 0; return node; }
void named(void) { table_t table = kmalloc(4096); table[1] = 0; *(volatile u64 *)table = 0; }
void too_small(void) { list = kmalloc(8); }
void nothing(void) { *(volatile u64 *)kmalloc(40) = 3; }
void number(void) { u64 address = (u64)kmalloc(16); *(volatile u64 *)address = address; }
__attribute__((section(".text.entry"))) void _start(void) { for (;;); }
