/* Jumps out of functions, arguments without number, functions to call at exit, and an exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static jmp_buf place;

static void descend(int depth, double kept)
{
    if (depth == 0)
        longjmp(place, 5);
    descend(depth - 1, kept * 1.5);
    printf("%g\n", kept);
}

static double sum(int count, ...)
{
    va_list list;
    va_start(list, count);
    double total = 0;
    for (int i = 0; i < count; i++)
        total += i & 1 ? va_arg(list, double) : va_arg(list, int);
    va_end(list);
    return total;
}

static void first(void) { puts("registered first, called last"); }
static void second(void) { puts("registered last, called first"); }

int main(void)
{
    atexit(first);
    atexit(second);
    int code = setjmp(place);
    printf("setjmp returned %d\n", code);
    if (code == 0)
        descend(20, 1);
    printf("%g\n", sum(6, 1, 0.5, 2, 0.25, 3, 0.125));
    exit(42);
}
