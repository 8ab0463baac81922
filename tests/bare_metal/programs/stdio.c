/* What printf, scanf and their relatives make of numbers and strings. */
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        printf("argv[%d] = '%s'\n", i, argv[i]);
    printf("%d %i %u %x %X %o %c %% %s|%10s|%-10s|%.3s\n", -1, INT_MIN, UINT_MAX, 0xbeef, 0xBEEF, 0755, 'c', "string",
           "right", "left", "cut off");
    printf("%ld %lld %zu %" PRIx64 " %+d % d %08d %#x %p\n", LONG_MIN, LLONG_MAX, sizeof(long), UINT64_C(1) << 63, 5, 5,
           -42, 255, (void *)0x80001234);
    const double doubles[] = {0.0, -0.0, 1.0 / 3, 1e300, -2.5e-310, DBL_MAX, DBL_MIN, INFINITY, -INFINITY, 123456.789};
    for (unsigned i = 0; i < sizeof doubles / sizeof *doubles; i++)
        printf("%f %e %g %.17g %10.2f|\n", doubles[i], doubles[i], doubles[i], doubles[i], doubles[i]);
    printf("%.9g %.15g %.15g %.15g\n", (double)(1.0f / 3), sqrt(2), sin(1), exp(1));
    char text[64];
    int written = snprintf(text, sizeof text, "%s has %d letters", "snprintf", 8);
    printf("%d '%s'\n", written, text);
    int number;
    double real;
    char word[16];
    int found = sscanf("17 3.5e2 word", "%d %lf %15s", &number, &real, word);
    printf("%d: %d %g %s\n", found, number, real, word);
    printf("%ld %g %s\n", strtol("-0x7f", NULL, 0), strtod("1e-3", NULL), strerror(2));
    fprintf(stderr, "an error\n");
    puts("the end");
    return 7;
}
