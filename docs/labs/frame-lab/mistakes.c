/* The solution with one mistake, chosen by -DNAME: what graders of this lab have seen. */
typedef unsigned long ppn_t;

static ppn_t first, current, end, recycled[1024];
static unsigned long height;

void frame_init(ppn_t from, ppn_t to)
{
    first = current = from;
    end = to;
#ifndef KEEPS_OLD_FRAMES
    height = 0;
#endif
}

long frame_alloc(void)
{
#ifdef POINTER_FOR_NUMBER
    ppn_t *top = (ppn_t *)recycled[height];
    if (height == 0 && *top)
        return *top;
#endif
#ifdef QUEUE_FOR_STACK
    static unsigned long head;
    if (head < height)
        return recycled[head++];
#elif defined(NEVER_RECYCLES)
#elif defined(DOES_NOT_POP)
    if (height)
        return recycled[height - 1];
#else
    if (height)
        return recycled[--height];
#endif
#if defined(ONE_TOO_MANY)
    return current > end ? -1 : (long)current++;
#elif defined(ONE_TOO_FEW)
    return current + 1 >= end ? -1 : (long)current++;
#elif defined(ZERO_FOR_NONE)
    return current == end ? 0 : (long)current++;
#elif defined(WAITS_FOR_A_FRAME)
    while (*(volatile ppn_t *)&current == end)
        ;
    return current++;
#elif defined(FORGETS_TO_ADVANCE)
    return current == end ? -1 : (long)current;
#elif defined(ADDRESS_FOR_NUMBER)
    return current == end ? -1 : (long)(current++ << 12);
#elif defined(BEGINS_WITH_THE_SECOND)
    return current + 1 == end ? -1 : (long)++current;
#else
    return current == end ? -1 : (long)current++;
#endif
}

int frame_dealloc(ppn_t ppn)
{
#ifndef TAKES_ANYTHING
    if (ppn < first || ppn >= current)
        return -1;
#endif
#ifndef FREES_TWICE
    for (unsigned long i = 0; i < height; i++)
        if (recycled[i] == ppn)
            return -1;
#endif
    recycled[height++] = ppn;
    return 0;
}

unsigned long frames_free(void)
{
#ifdef COUNTS_NEW_ONES_ONLY
    return end - current;
#else
    return height + (end - current);
#endif
}
