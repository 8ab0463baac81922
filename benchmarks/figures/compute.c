/*
 * What `benchmarks/machine.py` computes: list processing, matrices, a state machine and a checksum over all
 * results, the mix that CoreMark made customary for embedded processors, in a program of
 * our own. It calls nothing and needs no C library.
 *
 * The benchmark assembles compute.s, which is this file compiled:
 * riscv64-unknown-elf-gcc -O2 -march=rv64gc -mabi=lp64d -mcmodel=medany -ffreestanding \
 *     -fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables -S compute.c
 */
#include <stdint.h>

enum { NODES = 64, ROWS = 10, TEXT = 96 };

struct node {
	struct node *next;
	int16_t key, value;
};

static struct node nodes[NODES];
static int16_t left[ROWS][ROWS], right[ROWS][ROWS];
static int32_t product[ROWS][ROWS];
static char text[TEXT];
static uint32_t seen[8], entered[8];

static uint16_t checksum(uint16_t crc, uint32_t data)
{
	for (int bit = 0; bit < 32; bit++) {
		uint16_t mix = (crc ^ data) & 1;

		crc >>= 1;
		data >>= 1;
		if (mix)
			crc ^= 0xA001;
	}
	return crc;
}

/* Merge sort of a list, as one would write it without recursion. */
static struct node *sort(struct node *list)
{
	for (int run = 1;; run *= 2) {
		struct node *first = list, **tail = &list;
		int merges = 0;

		list = 0;
		while (first) {
			struct node *second = first;
			int in_first = 0, in_second = run;

			merges++;
			while (in_first < run && second) {
				in_first++;
				second = second->next;
			}
			while (in_first > 0 || (in_second > 0 && second)) {
				struct node *taken;

				if (in_first > 0 && (in_second == 0 || !second || first->key <= second->key)) {
					taken = first;
					first = first->next;
					in_first--;
				} else {
					taken = second;
					second = second->next;
					in_second--;
				}
				*tail = taken;
				tail = &taken->next;
			}
			first = second;
		}
		*tail = 0;
		if (merges <= 1)
			return list;
	}
}

static struct node *reverse(struct node *list)
{
	struct node *reversed = 0;

	while (list) {
		struct node *next = list->next;

		list->next = reversed;
		reversed = list;
		list = next;
	}
	return reversed;
}

static uint16_t lists(uint16_t crc, int seed)
{
	struct node *list = 0, *node;

	for (int i = 0; i < NODES; i++) {
		nodes[i].key = (int16_t)((i * 73 + seed) & 0xFF);
		nodes[i].value = (int16_t)i;
		nodes[i].next = list;
		list = &nodes[i];
	}
	for (int wanted = 0; wanted < 16; wanted++) {
		for (node = list; node && node->key != wanted; node = node->next)
			;
		list = reverse(list);
		crc = (uint16_t)(crc * 31 + (node ? node->value : -1));
	}
	list = sort(list);
	for (node = list; node; node = node->next)
		crc = (uint16_t)(crc * 31 + node->value);
	return checksum(crc, (uint32_t)list->value);
}

static uint16_t sum(uint16_t crc)
{
	int32_t total = 0;

	for (int i = 0; i < ROWS; i++)
		for (int j = 0; j < ROWS; j++)
			total += product[i][j] > total ? 10 : product[i][j];
	return checksum(crc, (uint32_t)total);
}

/* Each operation on whole matrices, with a checksum of its result. */
static uint16_t matrices(uint16_t crc, int seed)
{
	for (int i = 0; i < ROWS; i++)
		for (int j = 0; j < ROWS; j++) {
			left[i][j] = (int16_t)(i * seed + j);
			right[i][j] = (int16_t)(j * 7 - i + seed);
		}
	for (int i = 0; i < ROWS; i++)
		for (int j = 0; j < ROWS; j++)
			left[i][j] = (int16_t)(left[i][j] + seed);
	for (int i = 0; i < ROWS; i++)
		for (int j = 0; j < ROWS; j++)
			product[i][j] = left[i][j] * seed;
	crc = sum(crc);
	for (int i = 0; i < ROWS; i++) {
		product[i][0] = 0;
		for (int j = 0; j < ROWS; j++)
			product[i][0] += left[i][j] * right[0][j];
	}
	crc = sum(crc);
	for (int i = 0; i < ROWS; i++)
		for (int j = 0; j < ROWS; j++) {
			product[i][j] = 0;
			for (int k = 0; k < ROWS; k++)
				product[i][j] += left[i][k] * right[k][j];
		}
	return sum(crc);
}

enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, INVALID, STATES };

/* Tell numbers from other words, character by character. */
static uint16_t machine(uint16_t crc, int seed)
{
	static const char source[] = "5012,+1.25,-874,0x1F,1e9,.5,hello,-7.25e3,99,+-1,3.14159,seventeen,8e,12.,0.001,-0,77a,1.5e10,42,";
	enum state state = START;

	for (int i = 0; i < STATES; i++)
		seen[i] = entered[i] = 0;
	for (int i = 0; i < TEXT; i++)
		text[i] = source[i] >= '0' && source[i] <= '9' ? (char)('0' + (source[i] - '0' + seed) % 10) : source[i];
	for (int i = 0; i < TEXT; i++) {
		char c = text[i];
		int digit = c >= '0' && c <= '9';

		entered[state]++;
		if (c == ',') {
			seen[state]++;
			state = START;
			continue;
		}
		switch (state) {
		case START:
			state = digit ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : INVALID;
			break;
		case SIGN:
			state = digit ? INTEGER : c == '.' ? POINT : INVALID;
			break;
		case INTEGER:
			state = digit ? INTEGER : c == '.' ? POINT : c == 'e' ? EXPONENT : INVALID;
			break;
		case POINT:
		case FRACTION:
			state = digit ? FRACTION : c == 'e' && state == FRACTION ? EXPONENT : INVALID;
			break;
		case EXPONENT:
			state = digit ? EXPONENT : INVALID;
			break;
		default:
			break;
		}
	}
	for (int i = 0; i < STATES; i++)
		crc = checksum(crc, seen[i] << 8 | entered[i]);
	return crc;
}

/* The checksum after so many rounds: the same on every correct processor. */
unsigned long compute(long rounds)
{
	uint16_t crc = 0xFFFF;

	for (long round = 0; round < rounds; round++) {
		crc = lists(crc, (int)round & 0xFF);
		crc = matrices(crc, (int)round & 15);
		crc = machine(crc, (int)round & 7);
	}
	return crc;
}
