/* What it goes through the tables with, of which the kernel exports nothing. */
#include "mm/ptdump.c"
#include "mm/pagewalk.c"
