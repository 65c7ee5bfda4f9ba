/* Words that every file of the generator uses. */
#ifndef COMMON_H
#define COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum { HEADER_BYTES = 19, MOST_MESSAGE_BYTES = 4096, MOST_SESSIONS = 20000 };
/* RFC 4271 section 4.1, RFC 2918. */
enum { TYPE_OPEN = 1, TYPE_UPDATE = 2, TYPE_NOTIFICATION = 3, TYPE_KEEPALIVE = 4, TYPE_ROUTE_REFRESH = 5 };

static inline u16 get16(const u8 *at) { return (u16)(at[0] << 8 | at[1]); }
static inline u32 get32(const u8 *at) { return (u32)at[0] << 24 | (u32)at[1] << 16 | (u32)at[2] << 8 | at[3]; }
static inline u8 *put16(u8 *at, u32 value) { at[0] = (u8)(value >> 8); at[1] = (u8)value; return at + 2; }
static inline u8 *put32(u8 *at, u32 value) { put16(at, value >> 16); put16(at + 2, value & 0xffff); return at + 4; }

/* A 64-bit hash of some bytes: 16 a step, folded by a 128-bit product. */
static inline u64 fold(u64 a, u64 b) { __uint128_t product = (__uint128_t)a * b; return (u64)product ^ (u64)(product >> 64); }
static inline u64 hash_bytes(const u8 *at, u32 length, u64 seed) {
	u64 hash = seed ^ 0x9e3779b97f4a7c15ull ^ length, words[2];
	for (; length >= 16; length -= 16, at += 16) {
		memcpy(words, at, 16);
		hash = fold(hash ^ words[0], words[1] ^ 0xd6e8feb86659fd93ull);
	}
	if (length > 0) {
		words[0] = words[1] = 0;
		memcpy(words, at, length);
		hash = fold(hash ^ words[0], words[1] ^ 0xa0761d6478bd642full);
	}
	return fold(hash, 0xe7037ed1a0b428dbull);
}

/* A small deterministic generator of random numbers (xorshift*): the same data in every run. */
static inline u64 next_random(u64 *state) {
	u64 x = *state;
	x ^= x >> 12; x ^= x << 25; x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}

double now_seconds(void); /* monotonic */
double cpu_seconds(void); /* of this process */
void die_with_parent(void); /* a benchmark that was killed leaves nobody behind */
void *allocate(size_t bytes); /* zeroed; ends the process when there is no memory */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
u8 *write_header(u8 *at, u32 length, u8 type);
u32 write_open(u8 *at, u32 as_number, u16 hold_seconds, u32 router_id);

#endif
