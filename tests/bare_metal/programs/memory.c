/* The heap, sorting and searching. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 2000 };
static uint64_t state = 1;

static uint32_t draw(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    uint32_t *numbers = malloc(COUNT * sizeof *numbers);
    for (int i = 0; i < COUNT; i++)
        numbers[i] = draw();
    uint32_t wanted = numbers[COUNT / 3];
    qsort(numbers, COUNT, sizeof *numbers, ascending);
    for (int i = 1; i < COUNT; i++)
        if (numbers[i - 1] > numbers[i])
            return 1;
    uint32_t *found = bsearch(&wanted, numbers, COUNT, sizeof *numbers, ascending);
    printf("smallest %u, largest %u, number %ld is %u\n", numbers[0], numbers[COUNT - 1], (long)(found - numbers), *found);

    void *blocks[64] = {0};
    size_t total = 0;
    for (int round = 0; round < 5000; round++) {
        int i = draw() % 64;
        size_t size = draw() % 5000 + 1;
        if (draw() & 1) {
            free(blocks[i]);
            blocks[i] = calloc(1, size);
        } else {
            blocks[i] = realloc(blocks[i], size);
        }
        if (!blocks[i])
            return 2;
        memset(blocks[i], round, size);
        total += size;
    }
    for (int i = 0; i < 64; i++)
        free(blocks[i]);
    free(numbers);
    printf("%zu bytes allocated and freed\n", total);

    void *all = malloc(3u << 20);
    printf("3 MiB in one block: %s; 1 GiB: %s\n", all ? "yes" : "no", malloc((size_t)1 << 30) ? "yes" : "no");
    char text[] = "strings,cut,into,words";
    for (char *word = strtok(text, ","); word; word = strtok(NULL, ","))
        printf("%s ", word);
    puts("");
    return 0;
}
