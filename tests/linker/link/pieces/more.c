int overridden(int x) { return x << 2; }
static int hidden_state = 9;
int more_zeros[5];
double half = 0.5;
long table[3] = {1, 2, 3};
const char *const names[] = {"first", "second ending", "ending"};
int more(int which) { return hidden_state++ + more_zeros[which] + (int)half; }
