/* The first program of a Linux that shows its page tables, and powers off. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static char text[1 << 16];

int main(void)
{
	int module = open("/kernel_page_tables.ko", O_RDONLY);
	int file;

	if (syscall(SYS_finit_module, module, "", 0) != 0)
		perror("finit_module");
	close(module);
	mount("proc", "/proc", "proc", 0, NULL);
	file = open("/proc/kernel_page_tables", O_RDONLY);
	while (read(file, text, sizeof text - 1) > 0)
		printf("%s", text);
	printf("== end\n");
	fflush(stdout);
	reboot(RB_POWER_OFF);
	return 0;
}
