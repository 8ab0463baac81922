/* Each call of semihosting, with good arguments and bad ones, and what it answers. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    OPEN = 1, CLOSE, WRITEC, WRITE0, WRITE, READ, READC, ISERROR, ISTTY, SEEK, FLEN = 12, TMPNAM, REMOVE, RENAME, CLOCK,
    TIME, SYSTEM, ERRNO, GET_CMDLINE = 0x15, HEAPINFO, EXIT = 0x18, EXIT_EXTENDED = 0x20, ELAPSED = 0x30, TICKFREQ
};
#define NOWHERE 0xa00000L
#define CALL(number, ...) call(#number, number, (long[]){__VA_ARGS__})

extern long sys_semihost(long number, long block);

static long call(const char *name, long number, long *block)
{
    long result = sys_semihost(number, (long)block);
    long error = result == -1 ? sys_semihost(ERRNO, 0) : 0;
    printf("%-8s %ld%s%.0ld\n", name, result, error ? ", errno " : "", error);
    return result;
}

int main(void)
{
    char bytes[16] = "old";
    long file = CALL(OPEN, (long)"calls.bin", 6, 9);
    CALL(WRITE, file, (long)"0123456789", 10);
    CALL(FLEN, file);
    CALL(SEEK, file, 3);
    CALL(READ, file, (long)bytes, 4);
    printf("%.4s\n", bytes);
    CALL(READ, file, (long)bytes, 16);
    printf("%.3s\n", bytes);
    CALL(READ, file, (long)bytes, 16);
    CALL(ISTTY, file);
    CALL(READ, file, NOWHERE, 4);
    CALL(WRITE, file, NOWHERE, 4);
    CALL(SEEK, file, -5);
    CALL(CLOSE, file);
    CALL(CLOSE, file);
    CALL(FLEN, file);
    CALL(SEEK, 77, 0);
    CALL(WRITE, 77, (long)bytes, 3);
    CALL(READ, 77, (long)bytes, 3);
    CALL(OPEN, (long)"calls.bin", 12, 9);
    CALL(OPEN, (long)"missing/file", 4, 12);
    CALL(OPEN, (long)"calls.bin/under", 0, 15);
    CALL(OPEN, NOWHERE, 0, 3);
    CALL(RENAME, (long)"calls.bin", 9, (long)"renamed.bin", 11);
    CALL(RENAME, (long)"calls.bin", 9, (long)"renamed.bin", 11);
    CALL(REMOVE, (long)"renamed.bin", 11);
    CALL(REMOVE, (long)"renamed.bin", 11);
    CALL(REMOVE, NOWHERE, 3);

    long features = CALL(OPEN, (long)":semihosting-features", 0, 21);
    CALL(FLEN, features);
    CALL(ISTTY, features);
    CALL(READ, features, (long)bytes, 16);
    printf("%.4s %d\n", bytes, bytes[4]);
    CALL(SEEK, features, 4);
    CALL(READ, features, (long)bytes, 1);
    CALL(WRITE, features, (long)bytes, 1);
    CALL(CLOSE, features);
    CALL(OPEN, (long)":semihosting-features", 4, 21);

    long out = CALL(OPEN, (long)":tt", 4, 3), error = CALL(OPEN, (long)":tt", 8, 3);
    CALL(WRITE, out, (long)"to stdout\n", 10);
    CALL(WRITE, error, (long)"to stderr\n", 10);
    CALL(CLOSE, error);
    sys_semihost(WRITE0, (long)"a string\n");
    sys_semihost(WRITEC, (long)"c");
    sys_semihost(WRITEC, (long)"\n");

    CALL(ISERROR, -1);
    CALL(ISERROR, 5);
    long line[] = {(long)bytes, 2};
    call("GET_CMDLINE too short", GET_CMDLINE, line);
    static char words[100];
    line[0] = (long)words, line[1] = sizeof words;
    call("GET_CMDLINE", GET_CMDLINE, line);
    printf("%ld '%s'\n", line[1], words);
    long heap[4] = {0}, *place = heap;
    call("HEAPINFO", HEAPINFO, (long *)&place);
    printf("heap ends where the stack begins: %d, begins where that ends: %d, not empty: %d\n", heap[1] == heap[2],
           heap[0] == heap[3], heap[0] < heap[1]);
    printf("%ld ticks a second\n", sys_semihost(TICKFREQ, 0));
    long earlier, later;
    call("ELAPSED", ELAPSED, &earlier);
    call("ELAPSED", ELAPSED, &later);
    printf("time passes: %d\n", earlier < later);
    printf("after 2024 began: %d\n", sys_semihost(TIME, 0) >= 1704067200);
    printf("no long run: %d\n", (unsigned long)sys_semihost(CLOCK, 0) < 100000);
    call("WRITE nowhere", WRITE, (long *)NOWHERE);
    sys_semihost(EXIT_EXTENDED, (long)(long[]){0x20026, 0x1ff});
    return 0;
}
