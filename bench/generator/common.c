#include "common.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

static double clock_seconds(clockid_t clock) {
	struct timespec time;
	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

double now_seconds(void) { return clock_seconds(CLOCK_MONOTONIC); }
double cpu_seconds(void) { return clock_seconds(CLOCK_PROCESS_CPUTIME_ID); }

void die_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

void *allocate(size_t bytes) {
	void *memory = calloc(1, bytes);
	if (memory == NULL) die("out of memory: %zu bytes", bytes);
	return memory;
}

void die(const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "generator: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	exit(1);
}

u8 *write_header(u8 *at, u32 length, u8 type) {
	memset(at, 0xff, 16);
	put16(at + 16, length);
	at[18] = type;
	return at + HEADER_BYTES;
}

/* IPv4 and IPv6 unicast (RFC 4760), route refresh (RFC 2918), four-octet AS numbers (RFC 6793). */
u32 write_open(u8 *message, u32 as_number, u16 hold_seconds, u32 router_id) {
	u8 *at = message + HEADER_BYTES;
	*at++ = 4;
	at = put16(at, as_number > 0xffff ? 23456 : as_number);
	at = put16(at, hold_seconds);
	at = put32(at, router_id);
	u8 *parameters = at++;
	*at++ = 2; /* capabilities, RFC 5492 */
	u8 *capabilities = at++;
	for (u8 afi = 1; afi <= 2; afi++) {
		*at++ = 1; *at++ = 4; at = put16(at, afi); *at++ = 0; *at++ = 1;
	}
	*at++ = 2; *at++ = 0;
	*at++ = 65; *at++ = 4; at = put32(at, as_number);
	*capabilities = (u8)(at - capabilities - 1);
	*parameters = (u8)(at - parameters - 1);
	u32 length = (u32)(at - message);
	write_header(message, length, TYPE_OPEN);
	return length;
}
