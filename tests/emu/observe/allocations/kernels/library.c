/* What programs do with malloc, with and without a mistake; the C library is picolibc. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct node { struct node *next; char *text; };
static struct node *list;

__attribute__((noinline)) static void push(const char *text) {
    struct node *node = malloc(sizeof *node);
    node->text = malloc(strlen(text) + 1);
    strcpy(node->text, text);
    node->next = list;
    list = node;
}
__attribute__((noinline)) static void pop(void) {
    struct node *node = list;
    list = node->next;
#ifndef FORGET
    free(node->text);
#endif
    free(node);
#ifdef TWICE
    free(node);
#endif
}
int main(void) {
    char line[32];
    for (int i = 0; i < 20; i++) { snprintf(line, sizeof line, "number %d", i * 7919); push(line); }
    for (int i = 0; i < 20; i++) pop();
    char *grown = calloc(4, 8);
    for (int size = 64; size < 3000; size *= 3) grown = realloc(grown, size);
    free(grown);
#ifdef BEYOND
    long *eight = malloc(8 * sizeof(long)), *next = malloc(8 * sizeof(long));
    for (int i = 0; i < BEYOND; i++) ((volatile long *)eight)[i] = i;
    free(next);
    free(eight);
#endif
    puts("done");
    return 0;
}
