// The first process of the Linux that debuggers look at: loads a module, has a child and open files, and waits.

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	int module = open("/crc7.ko", O_RDONLY);

	if (syscall(SYS_finit_module, module, "", 0) != 0)
		perror("finit_module");
	if (fork() == 0) {
		prctl(PR_SET_NAME, "patient");
		pause();
	}
	puts("init: waiting");
	for (;;)
		pause();
}
