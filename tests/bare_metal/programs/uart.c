/* printf over the UART, without semihosting: picolibc takes a FILE of one's own. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define UART ((volatile uint8_t *)0x10000000)
#define FINISHER ((volatile uint32_t *)0x100000)
enum { DATA = 0, LINE_STATUS = 5, DATA_READY = 1, TRANSMITTER_EMPTY = 0x20 };

static int put(char byte, FILE *file)
{
    (void)file;
    while (!(UART[LINE_STATUS] & TRANSMITTER_EMPTY))
        ;
    UART[DATA] = byte;
    return (unsigned char)byte;
}

static int get(FILE *file)
{
    (void)file;
    while (!(UART[LINE_STATUS] & DATA_READY))
        ;
    return UART[DATA];
}

static FILE uart = FDEV_SETUP_STREAM(put, get, NULL, _FDEV_SETUP_RW);
FILE *const stdin = &uart, *const stdout = &uart, *const stderr = &uart;

void _exit(int status)
{
    *FINISHER = status ? (uint32_t)status << 16 | 0x3333 : 0x5555;
    for (;;)
        ;
}

int main(void)
{
    printf("pi is about %.10f, and %d is %#x\n", 355.0 / 113, 1000, 1000);
    printf("type a number: ");
    int number = 0;
    for (int digit; (digit = getchar()) >= '0' && digit <= '9';)
        number = 10 * number + digit - '0';
    printf("%d squared is %d\n", number, number * number);
    return 3;
}
