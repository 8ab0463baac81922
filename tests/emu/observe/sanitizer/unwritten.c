/* Uses of memory that was never written (bug_), and what looks like them (twin_); the use stands in the line with HERE. */
struct padded { char first; long second; };
struct bits { unsigned a : 3, b : 5, c : 8; };
static long table[256];
void two_ways(void);
asm(".text\n.option push\n.option norvc\n two_ways: nop\n ret\n.option pop");
static void written(void *p, u64 n) { fill(p, 7, n); }

void bug_branch(void) {
    volatile int *p = blk_alloc(32);
    p[1] = 5;
    if (p[2] == 5) // HERE branch 8 4
        sink++;
}
void twin_branch(void) {
    volatile int *p = blk_alloc(32);
    p[1] = 5;
    if (p[1] == 5) sink++;
}
void bug_sum(void) {
    long *p = blk_alloc(64), sum = 0;
    for (int i = 0; i < 7; i++) p[i] = i;
    for (int i = 0; i < 8; i++) sum += p[i];
    if (sum > 100) // HERE branch 56 8
        sink++;
}
void twin_sum(void) {
    long *p = blk_alloc(64), sum = 0;
    for (int i = 0; i < 7; i++) p[i] = i;
    for (int i = 0; i < 7; i++) sum += p[i];
    if (sum > 100) sink++;
}
void bug_address(void) {
    volatile unsigned char *p = blk_alloc(16);
    sink = ((volatile long *)table)[p[9]]; // HERE address 9 1
}
void twin_address(void) {
    volatile unsigned char *p = blk_alloc(16);
    sink = ((volatile long *)table)[p[9] & 0]; /* whatever the byte is */
}
void bug_jump(void) {
    u64 *p = blk_alloc(24);
    u64 bit = *(volatile unsigned char *)(p + 1) >> 7;
    ((void (*)(void))((u64)two_ways + 4 * bit))(); // HERE jump 8 1
    done();
}
void twin_jump(void) {
    void (*volatile *p)(void) = blk_alloc(24);
    p[1] = done;
    p[1]();
}
void bug_copied(void) {
    struct padded *p = blk_alloc(sizeof *p), *q = blk_alloc(sizeof *q);
    p->first = 1;
    *(volatile struct padded *)q = *(volatile struct padded *)p;
    if (q->second == 3) // HERE branch 8 8 stored
        sink++;
}
void twin_copied(void) { /* padding is copied, and decides nothing */
    struct padded *p = blk_alloc(sizeof *p), *q = blk_alloc(sizeof *q);
    p->first = 1;
    p->second = 2;
    for (u64 i = 0; i < sizeof *p / 8; i++) ((volatile u64 *)q)[i] = ((volatile u64 *)p)[i];
    if (q->first == 1 && q->second == 2) sink++;
}
void bug_bits(void) {
    volatile struct bits *p = blk_alloc(4);
    p->a = 3;
    if (p->b == 3) // HERE branch 0 2 stored
        sink++;
}
void twin_bits(void) {
    volatile struct bits *p = blk_alloc(4);
    p->a = 3;
    p->c = 9;
    if (p->a == 3 && p->c == 9) sink++;
}
void *blk_resize(void *p, u64 n) { return p; }
void bug_resized(void) {
    volatile struct bits *p = blk_alloc(4);
    p->a = 3;
    p = blk_resize((void *)p, 12);
    if (p->b == 3) // HERE branch 0 2 stored
        sink++;
}
void twin_resized(void) {
    volatile struct bits *p = blk_alloc(4);
    p->a = 3;
    p->c = 9;
    p = blk_resize((void *)p, 12);
    if (p->a != 3 || p->c != 9) for (;;);
}
static int same(const volatile char *a, const volatile char *b, u64 n) {
    for (u64 i = 0; i < n; i++)
        if (a[i] != b[i]) // HERE
            return 0;
    return 1;
}
void bug_compared(void) {
    struct padded *p = blk_alloc(sizeof *p), *q = blk_alloc(sizeof *q);
    p->first = q->first = 1;
    p->second = q->second = 2;
    sink = same((char *)p, (char *)q, sizeof *p); // IN same branch 1 1
}
void twin_compared(void) {
    struct padded *p = blk_alloc(sizeof *p), *q = blk_alloc(sizeof *q);
    p->first = q->first = 1;
    p->second = q->second = 2;
    sink = same((char *)p, (char *)q, 1) && same((char *)&p->second, (char *)&q->second, 8);
}
void twin_words(void) { /* a string's end is looked for in words, behind what was written */
    char *p = blk_alloc(32);
    written(p, 11);
    p[11] = 0;
    u64 at = 0;
    for (;; at += 8) {
        u64 word = *(volatile u64 *)(p + at), zeros = (word - 0x0101010101010101) & ~word & 0x8080808080808080;
        if (zeros) {
            for (; !(zeros & 0x80); zeros >>= 8) at++;
            break;
        }
    }
    if (at != 11) for (;;);
}
void bug_frame(void) {
    volatile long *p = kalloc();
    if (p[100] < 0) // HERE branch 800 8
        sink++;
    kfree((void *)p);
}
void twin_frame(void) {
    volatile long *p = kalloc();
    for (int i = 0; i < 512; i++) p[i] = 0;
    if (p[100] < 0) sink++;
    kfree((void *)p);
}
void bug_again(void) { /* what another has left there */
    long *p = blk_alloc(48);
    written(p, 48);
    blk_free(p);
    volatile long *q = blk_alloc(48);
    if (q[4] == 1) // HERE branch 32 8
        sink++;
}
void twin_again(void) {
    long *p = blk_alloc(48);
    written(p, 48);
    blk_free(p);
    p = blk_alloc(48);
    written(p, 48);
    if (p[4] == 1) sink++;
}
void bug_anew(void) { /* where others have kept what was known in parts */
    volatile unsigned char *p = blk_alloc(48), *q = blk_alloc(48);
    q[20] = (p[3] & 1) | 4;
    q[20] = 9;
    blk_free((void *)q);
    q = blk_alloc(48);
    if (q[20] & 0x80) // HERE branch 20 1
        sink++;
}
void bug_swapped(void) {
    volatile int *p = blk_alloc(16);
    int old = __atomic_fetch_add((int *)p + 2, 1, __ATOMIC_RELAXED);
    if (old == 1) // HERE branch 8 4
        sink++;
}
void twin_swapped(void) {
    volatile int *p = blk_alloc(16);
    p[2] = 0;
    __atomic_fetch_add((int *)p + 2, 1, __ATOMIC_RELAXED);
    if (p[2] == 1) sink++;
}
void bug_double(void) {
    asm volatile("csrs sstatus, %0" : : "r"(1 << 13)); /* floating point is on */
    volatile double *p = blk_alloc(16);
    volatile double *q = blk_alloc(16);
    *q = *p;
    if (*(volatile long *)q == 1) // HERE branch 0 8 stored
        sink++;
}
u64 truth;
void bug_truth(void) { /* compared without a branch */
    volatile int *p = blk_alloc(32);
    truth = p[3] == 77;
    if (truth) // HERE branch 12 4
        sink++;
}
