/* What each of these programs does with its allocator, and what it says of it itself: `said` is what must have been seen. */
#ifndef GIVE_COUNT
#define GIVE(block, size) GIVE_BLOCK(block)
#endif
struct { u64 sign, address, size; } said[512];
u64 lines;
static void *say(u64 sign, void *block, u64 size) {
    if (block) { said[lines].sign = sign; said[lines].address = (u64)block; said[lines++].size = size; }
    return block;
}
#define take(size) say('+', TAKE(size), size)
#define give(block, size) (say('-', block, size), GIVE(block, size))

void works(void) { /* correct: all that can be freed is freed */
    void *held[8] = {0};
    u64 sizes[8], chance = 7;
    for (int i = 0; i < 120; i++) {
        chance = chance * 6364136223846793005UL + 1442695040888963407UL;
        int at = chance >> 61;
#ifndef NEVER_FREES
        if (held[at]) { give(held[at], sizes[at]); held[at] = 0; continue; }
#endif
        held[at] = take(sizes[at] = SIZE_OF(chance >> 33));
    }
#ifndef NEVER_FREES
    for (int at = 0; at < 8; at++) if (held[at]) give(held[at], sizes[at]);
#endif
}
void forgets(void) { for (u64 i = 1; i <= 3; i++) take(i); }
#ifndef NEVER_FREES
void frees_twice(void) { void *block = take(2); take(3); give(block, 2); give(block, 2); }
#endif
