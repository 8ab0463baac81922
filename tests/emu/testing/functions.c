/* What the tests of typed calls call: each function shows how one kind of argument or result travels. */
#include <stdarg.h>
struct point { int x, y; };
struct node { long value; struct node *next; };
struct parcel { long words[5]; char tag; };
struct flags { unsigned low : 3, high : 5; };
enum color { RED, GREEN = 7 };
int sum(int first, int second) { return first + second; }
unsigned char narrow(signed char a, unsigned short b) { return a + b; }
struct point swap(struct point p) { return (struct point){p.y, p.x}; }
struct parcel grow(struct parcel p) { for (int i = 0; i < 5; i++) p.words[i] += i; p.tag++; return p; }
void move(struct point *p, int by) { p->x += by; p->y -= by; }
unsigned length(const char *text) { unsigned n = 0; while (text[n]) n++; return n; }
void reverse(int *v, unsigned n) { for (unsigned i = 0; i < n / 2; i++) { int t = v[i]; v[i] = v[n - 1 - i]; v[n - 1 - i] = t; } }
void upper(char *text, unsigned n) { for (unsigned i = 0; i < n; i++) text[i] -= 32; }
long total(int n, ...) { va_list l; va_start(l, n); long t = 0; while (n--) t += va_arg(l, long); va_end(l); return t; }
double average(int n, ...) { va_list l; va_start(l, n); double t = 0; for (int i = 0; i < n; i++) t += va_arg(l, double); va_end(l); return t / n; }
enum color paint(_Bool green) { return green ? GREEN : RED; }
unsigned spread(struct flags f) { return f.low * 100 + f.high; }
long double wide(long double x) { return x; }
long last(struct node *list) { while (list->next) list = list->next; return list->value; }
__attribute__((noinline)) int dereferenced(int *at) { return *at + 1; }
int twice(int *at) { int one = dereferenced(at); return one * 2; }
__attribute__((noreturn)) void forever(void) { for (;;) { } }
#define WIDTH(name, type) type same_##name(type x) { return x; } long widened_##name(type x) { return (long)x; }
WIDTH(signed_char, signed char) WIDTH(unsigned_char, unsigned char) WIDTH(signed_short, short)
WIDTH(unsigned_short, unsigned short) WIDTH(signed_int, int) WIDTH(unsigned_int, unsigned)
WIDTH(signed_long, long) WIDTH(unsigned_long, unsigned long) WIDTH(signed_wide, __int128)
WIDTH(unsigned_wide, unsigned __int128)
__int128 split(long a, long b, long c, long d, long e, long f, long g, __int128 x) { return x - a + g; }
__int128 pushed(long a, long b, long c, long d, long e, long f, long g, long h, int i, __int128 x, int j) { return x * j + i; }
__int128 added(int n, ...) { va_list l; va_start(l, n); __int128 t = 0; while (n--) t += va_arg(l, __int128); va_end(l); return t; }
void negate(__int128 *v, unsigned n) { while (n--) v[n] = -v[n]; }
void shift(struct point *v, unsigned n) { while (n--) v[n].x += v[n].y; }
