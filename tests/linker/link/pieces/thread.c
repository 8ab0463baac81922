__thread int own = 4;
__thread int own_zero;
int thread_sum(void) { return own + own_zero; }
