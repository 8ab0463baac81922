/*
 * The first and only program of the Linux that the tests boot. It does what a small system does all day (prints,
 * computes, forks, faults, sleeps, reads and writes a disk) and says what came of each; then it powers off.
 * What it prints depends on neither time nor speed, so that two machines can be compared by it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static int failures;

static void check(int good, const char *what)
{
	if (!good) {
		printf("init: WRONG: %s (%s)\n", what, strerror(errno));
		failures++;
	}
}

/* Have all output leave the UART, so that the kernel's own lines never come between. */
static void flush(void)
{
	fflush(stdout);
	tcdrain(1);
}

/* Run a function in a child and return how the child ended, as waitpid() has it. */
static int in_child(int (*function)(void))
{
	int status = -1;
	pid_t child;

	flush();
	child = fork();
	if (child == 0)
		_exit(function());
	check(child > 0 && waitpid(child, &status, 0) == child, "fork and wait");
	return status;
}

static void cat(const char *path)
{
	char text[512];
	ssize_t length;
	int file = open(path, O_RDONLY);

	check(file >= 0, path);
	flush();
	while ((length = read(file, text, sizeof text)) > 0)
		check(write(1, text, length) == length, "write to the console");
	close(file);
}

/* ---- floating point ---- */

static double machin(void)
{
	double a = 0, b = 0, p = 1.0 / 5, q = 1.0 / 239;

	for (int k = 1; k < 40; k += 2) {
		a += (k % 4 == 1 ? p : -p) / k;
		b += (k % 4 == 1 ? q : -q) / k;
		p /= 25;
		q /= 239.0 * 239.0;
	}
	return 4 * (4 * a - b);
}

static float harmonic(int n)
{
	float sum = 0;

	while (n > 0)
		sum += 1.0f / n--;
	return sum;
}

/* Parent and child compute in turns: the registers of each must survive the other. */
static int yielding_sum(void)
{
	volatile double step = 1e-3;
	double sum = 0;

	for (int i = 0; i < 1000; i++) {
		sum += sqrt(step * i);
		if (i % 50 == 0)
			sched_yield();
	}
	return fabs(sum - 666.160134) < 1e-6;
}

static void floating_point(void)
{
	int status = 0;
	pid_t child;

	printf("init: pi %.15f, single %.7f, infinity %f, %a\n", machin(), harmonic(1000), 1 / fabs(0.0), 0.1);
	flush();
	child = fork();
	if (child == 0)
		_exit(yielding_sum());
	check(yielding_sum(), "floating point while another process computes");
	waitpid(child, &status, 0);
	check(WEXITSTATUS(status) == 1, "floating point in a child");
}

/* ---- processes and memory ---- */

#define COPIED 64
static char *shared_until_written;

static int write_every_page(void)
{
	int sum = 0;

	for (int i = 0; i < COPIED; i++)
		shared_until_written[i * PAGE] += 1;
	for (int i = 0; i < COPIED; i++)
		sum += shared_until_written[i * PAGE];
	return sum == COPIED * 3 ? 0 : 1;
}

static void copy_on_write(void)
{
	int sum = 0;

	shared_until_written = mmap(NULL, COPIED * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(shared_until_written != MAP_FAILED, "mmap");
	for (int i = 0; i < COPIED; i++)
		shared_until_written[i * PAGE] = 2;
	check(in_child(write_every_page) == 0, "copy on write in a child");
	for (int i = 0; i < COPIED; i++)
		sum += shared_until_written[i * PAGE];
	printf("init: a child wrote to %d pages, the parent still has %d\n", COPIED, sum / 2);
}

static void processes(void)
{
	int ends[2], total = 0;
	char line[64] = "";

	check(pipe(ends) == 0, "pipe");
	flush();
	for (int i = 0; i < 20; i++) {
		if (fork() == 0) {
			dprintf(ends[1], "%c", 'a' + i);
			_exit(i);
		}
	}
	for (int i = 0; i < 20; i++) {
		int status = 0;

		wait(&status);
		total += WEXITSTATUS(status);
	}
	check(read(ends[0], line, sizeof line) == 20, "read from the pipe");
	printf("init: 20 children, the sum of their exit codes is %d\n", total);
	flush();
	if (fork() == 0) {
		execl("/init", "/init", "again", NULL);
		_exit(1);
	}
	check(wait(&total) > 0 && WEXITSTATUS(total) == 42, "exec");
}

/* ---- faults ---- */

static int load_from_nowhere(void) { return *(volatile int *)16; }
static int store_to_code(void) { *(volatile int *)load_from_nowhere = 0; return 0; }
static int execute_data(void)
{
	static uint32_t ret = 0x00008067;

	((void (*)(void))&ret)();
	return 0;
}
static int illegal_instruction(void) { asm volatile("unimp"); return 0; }
static int breakpoint(void) { asm volatile("ebreak"); return 0; }

static void killed(const char *what, int (*function)(void))
{
	int status = in_child(function);

	printf("init: %s: %s\n", what, WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "NOT KILLED");
}

static volatile int repaired;

static void map_what_is_missing(int number, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr & -PAGE);

	(void)number, (void)context;
	mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	repaired++;
}

static int repair(void)
{
	struct sigaction action = { .sa_sigaction = map_what_is_missing, .sa_flags = SA_SIGINFO };
	volatile long *absent = (volatile long *)0x100000000;

	sigaction(SIGSEGV, &action, NULL);
	for (int i = 0; i < 8; i++)
		absent[i * PAGE / sizeof *absent + i] = i;
	printf("init: a handler repaired %d faults, %ld is there\n", repaired, absent[7 * PAGE / sizeof *absent + 7]);
	flush();
	return 0;
}

static void faults(void)
{
	killed("load from nowhere", load_from_nowhere);
	killed("store to code", store_to_code);
	killed("execute data", execute_data);
	killed("illegal instruction", illegal_instruction);
	killed("breakpoint", breakpoint);
	check(in_child(repair) == 0, "faults handled in user mode");
}

/* ---- time ---- */

static volatile sig_atomic_t ticks;

static void tick(int number) { (void)number; ticks++; }

static long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleeping(void)
{
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } }, never = { 0 };
	long start = milliseconds();

	usleep(50000);
	check(milliseconds() - start >= 50, "a sleep of 50 ms");
	signal(SIGALRM, tick);
	setitimer(ITIMER_REAL, &every, NULL);
	while (ticks < 5)
		;
	setitimer(ITIMER_REAL, &never, NULL);
	printf("init: slept 50 ms, then a timer interrupted a loop 5 times\n");
}

/* ---- disk ---- */

#define LENGTH (256 * 1024)

static uint32_t checksum(const char *path)
{
	unsigned char bytes[PAGE];
	uint32_t sum = 1;
	ssize_t length;
	int file = open(path, O_RDONLY);

	check(file >= 0, path);
	while ((length = read(file, bytes, sizeof bytes)) > 0)
		for (ssize_t i = 0; i < length; i++)
			sum = sum * 31 + bytes[i];
	close(file);
	return sum;
}

static void write_file(const char *path, size_t length, uint32_t seed)
{
	unsigned char bytes[PAGE];
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	check(file >= 0, path);
	for (size_t done = 0; done < length; done += sizeof bytes) {
		for (size_t i = 0; i < sizeof bytes; i++) {
			seed = seed * 1103515245 + 12345;
			bytes[i] = seed >> 16;
		}
		check(write(file, bytes, sizeof bytes) == sizeof bytes, "write");
	}
	check(fsync(file) == 0, "fsync");
	close(file);
}

static int mount_disk(void)
{
	return mount("/dev/vda", "/disk", "ext2", MS_NOATIME, NULL);
}

static void disk(void)
{
	uint32_t written;
	FILE *note;

	if (mount_disk() != 0) {
		printf("init: no disk (%s)\n", strerror(errno));
		return;
	}
	printf("init: the disk says: ");
	cat("/disk/greeting.txt");
	printf("init: numbers.bin 0x%08x\n", checksum("/disk/numbers.bin"));
	check(mkdir("/disk/new", 0755) == 0, "mkdir");
	write_file("/disk/new/pattern.tmp", LENGTH, 2024);
	check(rename("/disk/new/pattern.tmp", "/disk/new/pattern.bin") == 0, "rename");
	check(unlink("/disk/obsolete.txt") == 0, "unlink");
	written = checksum("/disk/new/pattern.bin");
	note = fopen("/disk/new/note.txt", "w");
	check(note != NULL && fprintf(note, "pattern.bin 0x%08x\n", written) > 0, "note.txt");
	fclose(note);
	check(umount("/disk") == 0, "umount");
	check(mount_disk() == 0, "mount again");
	check(checksum("/disk/new/pattern.bin") == written, "pattern.bin after mounting again");
	printf("init: wrote and read back %d bytes: 0x%08x\n", LENGTH, written);
	check(umount("/disk") == 0, "umount again");
}

int main(int count, char **arguments)
{
	struct utsname system;

	if (count > 1) {
		printf("init: executed %s\n", arguments[1]);
		flush();
		return 42;
	}
	mount("proc", "/proc", "proc", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	uname(&system);
	printf("init: process %d on %s %s\n", getpid(), system.sysname, system.machine);
	cat("/proc/cpuinfo");
	floating_point();
	copy_on_write();
	processes();
	faults();
	sleeping();
	disk();
	printf("init: %s\n", failures ? "something was wrong" : "all is well");
	flush();
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
