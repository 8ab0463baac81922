/* An assertion that fails. */
#include <assert.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    (void)argv;
    puts("before");
    assert(argc > 100);
    puts("never printed");
    return 0;
}
