__thread int elsewhere = 6;
__thread int zero_here;
int *where(void) { return &zero_here; }
