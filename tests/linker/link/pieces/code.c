#define IN(name) __attribute__((section(name), used))

extern char _stack_top[];
extern int shared[] __attribute__((weak));
int counter = 3;
int cleared;
static const char text[] = "the same ending";
const char *message = text;
IN(".fast.text") int fast(int x) { return x * counter; }
IN(".persistent") int persistent = 5;
IN(".dma.buffer") char dma[16] = {1};
int unused_function(int x) { return x + 7; }
__attribute__((weak)) int overridden(int x) { return x - 1; }
int main(void)
{
    const char *where = shared ? message + 1 : _stack_top;
    cleared += fast(where[0]) + overridden(counter);
    switch (cleared) {
    case 1: return 10;
    case 2: return 21;
    case 3: return 33;
    case 4: return 48;
    case 5: return 52;
    }
    return cleared;
}
