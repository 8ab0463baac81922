/* The part of a small kernel that C courses have: strings, tables, commons, weak hooks, small data. */
typedef unsigned long u64;

#define UART ((volatile unsigned char *)0x10000000)
#define FINISHER ((volatile unsigned *)0x100000)

int common_counter;
char common_buffer[100];
long common_aligned __attribute__((aligned(64)));
static int local_zero[33];
static u64 table[] = {1, 2, 3, 0x123456789abcdef0ul};
const char *const names[] = {"timer", "external", "software", "a timer", "hello from main\n"};
short small = 3;
static const double factor = 2.5;
volatile int state = 1;

extern int shared_value;
extern int twice(int x);
extern const char *greeting(int which);
extern void __attribute__((weak)) not_there(void);
extern int __attribute__((weak)) no_data;
int __attribute__((weak)) overridden(void) { return 1; }

static void put(const char *text)
{
    while (*text)
        *UART = *text++;
}

static int classify(int x)
{
    switch (x) {
    case 0: return 10;
    case 1: return 22;
    case 2: return 37;
    case 3: return 41;
    case 4: return 58;
    case 5: return 63;
    default: return -1;
    }
}

double scaled(double x) { return x * factor + (double)local_zero[2]; }

int (*const handlers[])(int) = {classify, twice};

int unused_function(int x) { return x * 77 + shared_value; }

int main(void)
{
    int sum = 0;
    put(greeting(0));
    put(names[4]);
    for (int i = 0; i < 6; i++)
        sum += handlers[i & 1](i) + (int)table[i & 3];
    if (not_there)
        not_there();
    if (&no_data)
        sum += no_data;
    common_counter += sum + overridden() + small;
    common_buffer[3] = (char)sum;
    common_aligned = sum;
    local_zero[state] = shared_value;
    *FINISHER = 0x5555;
    return sum + (int)scaled(1.0);
}
