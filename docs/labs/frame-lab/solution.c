/* A frame allocator that keeps freed frames on a stack. Frames are named by their page numbers. */
typedef unsigned long ppn_t;

static ppn_t first, current, end;   /* first..current were handed out at some time, current..end never */
static ppn_t recycled[1024];        /* the stack of freed frames */
static unsigned long height;

void frame_init(ppn_t from, ppn_t to)
{
    first = current = from;
    end = to;
    height = 0;
}

long frame_alloc(void)
{
    if (height)
        return recycled[--height];
    return current == end ? -1 : (long)current++;
}

int frame_dealloc(ppn_t ppn)
{
    if (ppn < first || ppn >= current)
        return -1;
    for (unsigned long i = 0; i < height; i++)
        if (recycled[i] == ppn)
            return -1;
    recycled[height++] = ppn;
    return 0;
}

unsigned long frames_free(void)
{
    return height + (end - current);
}
