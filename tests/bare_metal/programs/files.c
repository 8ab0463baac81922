/* Files of the host: written, read, appended to, renamed, removed, and what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void show(const char *name)
{
    FILE *file = fopen(name, "r");
    if (!file) {
        printf("%s: error %d\n", name, errno);
        return;
    }
    char line[80];
    while (fgets(line, sizeof line, file))
        printf("%s: %s", name, line);
    fclose(file);
}

int main(void)
{
    show("missing.txt");
    show("given.txt");
    FILE *file = fopen("new.txt", "w");
    if (!file)
        return 1;
    for (int i = 0; i < 3; i++)
        fprintf(file, "line %d of %g\n", i, i / 2.0);
    printf("closed: %d\n", fclose(file));
    show("new.txt");
    file = fopen("new.txt", "a");
    fputs("appended\n", file);
    fclose(file);
    file = fopen("new.txt", "r+");
    fseek(file, 5, SEEK_SET);
    printf("at %ld: '%c'\n", ftell(file), fgetc(file));
    fclose(file);
    show("new.txt");

    char block[10000];
    memset(block, 'x', sizeof block);
    int descriptor = open("big.bin", O_RDWR | O_CREAT | O_TRUNC, 0644);
    printf("written %ld\n", (long)write(descriptor, block, sizeof block));
    printf("at %ld\n", (long)lseek(descriptor, 9990, SEEK_SET));
    printf("read %ld\n", (long)read(descriptor, block, 100));
    printf("read %ld at the end\n", (long)read(descriptor, block, 100));
    printf("closed %d\n", close(descriptor));
    printf("removed %d, again %d\n", unlink("big.bin"), unlink("big.bin"));
    show("big.bin");
    return 0;
}
