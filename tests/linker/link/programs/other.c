/* The second file: overrides, shared strings and common symbols of other sizes. */
#ifndef SINGLE
int common_counter;
char common_buffer[300];
#endif
int shared_value = 42;
static const char *texts[] = {"hello", "timer", "hello from main\n", "lo"};
const int constants[] = {5, 6, 7};
static int hidden_state = 9;
int __attribute__((visibility("hidden"))) hidden_value = 8;

int twice(int x) { return 2 * x + constants[x & 1] + hidden_state; }
const char *greeting(int which) { return texts[which & 3]; }
int overridden(void) { return 2 + hidden_value; }
int never_called(int x) { return overridden() * x; }
