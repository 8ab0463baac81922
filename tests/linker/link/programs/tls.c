/* Thread-local variables, initialised and zero, local and shared. */
__thread int counter = 5;
static __thread long hidden_zero[3];
extern __thread int elsewhere;
int next(void) { return counter++ + (int)hidden_zero[1] + elsewhere; }
