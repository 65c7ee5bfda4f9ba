#include "universe.h"

#include <math.h>
#include <stdlib.h>

struct universe universe;

enum { PER_ALLOCATION = 17, FIRST_ALLOCATION = 16 << 12 /* 16.0.0.0/20 and on: 16.0.0.0/4 */ };

struct shape { u8 length; u16 offset; };
/* A /20 and what is announced inside it; the offset counts /24s. */
static const struct shape shapes4[PER_ALLOCATION] = {
	{20, 0}, {21, 8}, {22, 0}, {22, 4}, {23, 2}, {23, 6}, {23, 12}, {24, 0}, {24, 1}, {24, 3}, {24, 5}, {24, 7}, {24, 9}, {24, 10}, {24, 11}, {24, 13}, {24, 15},
};
/* A /32 and what is announced inside it; the offset is the third group of the address. */
static const struct shape shapes6[PER_ALLOCATION] = {
	{32, 0}, {36, 0x1000}, {40, 0x2000}, {40, 0x2100}, {44, 0x3010}, {44, 0x3020}, {44, 0x3030}, {48, 0x4000}, {48, 0x4001},
	{48, 0x4002}, {48, 0x4003}, {48, 0x4004}, {48, 0x4005}, {48, 0x4006}, {48, 0x4007}, {48, 0x4008}, {48, 0x4009},
};
static u8 position4[5][16];

static u32 common_divisor(u32 a, u32 b) { return b == 0 ? a : common_divisor(b, a % b); }

/* About 0.16 sets a prefix, of sizes with a heavy tail: half of the sets of a full table have one prefix, the largest hundreds. */
static void make_sets(void) {
	universe.sets = universe.table ? (u32)ceil(universe.count * 0.16) : 1;
	universe.set_start = allocate(sizeof(u32) * (universe.sets + 1));
	double *weights = allocate(sizeof(double) * universe.sets), total = 0, spread = 0;
	u64 random = 4271;
	for (u32 set = 0; set < universe.sets; set++) {
		double chance = (double)(next_random(&random) >> 11) / 9007199254740992.0;
		weights[set] = fmin(pow(1 - chance, -0.8) - 1, 300);
		total += weights[set];
	}
	u32 rest = universe.count - universe.sets;
	for (u32 set = 0; set < universe.sets; set++) {
		universe.set_start[set] = set + (u32)(rest * (total > 0 ? spread / total : 0));
		spread += weights[set];
	}
	universe.set_start[universe.sets] = universe.count;
	free(weights);
}

void universe_make(const char *kind, u32 count) {
	universe.table = strncmp(kind, "table", 5) == 0;
	universe.ipv6 = kind[strlen(kind) - 1] == '6';
	universe.count = count;
	universe.ids = count;
	if (universe.table) {
		universe.allocations = (count + PER_ALLOCATION - 1) / PER_ALLOCATION;
		if (universe.allocations > 65536) die("a table has at most %d prefixes", 65536 * PER_ALLOCATION);
		universe.ids = universe.allocations * PER_ALLOCATION;
		universe.stride = 40503;
		while (common_divisor(universe.stride, universe.allocations) != 1) universe.stride += 2;
		memset(position4, 0xff, sizeof position4);
		for (u8 at = 0; at < PER_ALLOCATION; at++) position4[shapes4[at].length - 20][shapes4[at].offset] = at;
	} else if (count > 1 << 18) die("there are at most %d blocks", 1 << 18);
	make_sets();
}

u32 universe_id(u32 position) {
	if (!universe.table) return position;
	u64 allocation = position / PER_ALLOCATION;
	return (u32)(allocation * universe.stride % universe.allocations) * PER_ALLOCATION + position % PER_ALLOCATION;
}

u32 universe_set(u32 position) {
	u32 low = 0, high = universe.sets;
	while (high - low > 1) {
		u32 middle = (low + high) / 2;
		if (universe.set_start[middle] <= position) low = middle;
		else high = middle;
	}
	return low;
}

u32 universe_encode(u32 id, u8 *at) {
	u8 address[16] = {0};
	u8 length;
	if (universe.table) {
		u32 allocation = id / PER_ALLOCATION, place = id % PER_ALLOCATION;
		if (universe.ipv6) {
			length = shapes6[place].length;
			address[0] = 0x26;
			put16(address + 1, allocation);
			put16(address + 4, shapes6[place].offset);
		} else {
			length = shapes4[place].length;
			put32(address, ((FIRST_ALLOCATION + allocation) << 12) + ((u32)shapes4[place].offset << 8));
		}
	} else if (universe.ipv6) {
		length = 122;
		memcpy(address, "\xfd\x00\x00\x10\x02\x44", 6);
		put32(address + 12, id << 6);
	} else {
		length = 26;
		put32(address, 0x0a000000 + (id << 6));
	}
	at[0] = length;
	u32 bytes = (length + 7u) / 8;
	memcpy(at + 1, address, bytes);
	return bytes + 1;
}

static u32 find_table6(const u8 *nlri) {
	if (nlri[0] < 32 || nlri[0] > 48 || nlri[1] != 0x26 || nlri[4] != 0) return NO_PREFIX;
	u32 offset = (nlri[0] > 32 ? (u32)nlri[5] << 8 : 0) | (nlri[0] > 40 ? nlri[6] : 0);
	for (u32 place = 0; place < PER_ALLOCATION; place++)
		if (shapes6[place].length == nlri[0] && shapes6[place].offset == offset) return get16(nlri + 2) * (u32)PER_ALLOCATION + place;
	return NO_PREFIX;
}

u32 universe_find(const u8 *nlri) {
	u32 id;
	if (universe.table && universe.ipv6) {
		id = find_table6(nlri);
	} else if (universe.table) {
		u32 length = nlri[0] - 20u;
		if (length > 4 || (nlri[1] & 0xf0) != 16) return NO_PREFIX;
		u8 place = position4[length][nlri[3] & 15];
		if (place == 0xff) return NO_PREFIX;
		u32 allocation = ((u32)nlri[1] << 12 | (u32)nlri[2] << 4 | nlri[3] >> 4) - FIRST_ALLOCATION;
		id = allocation * PER_ALLOCATION + place;
	} else if (universe.ipv6) {
		if (nlri[0] != 122 || memcmp(nlri + 1, "\xfd\x00\x00\x10\x02\x44\0\0\0\0\0\0", 12) != 0 || (nlri[16] & 63) != 0) return NO_PREFIX;
		id = get32(nlri + 13) >> 6;
	} else {
		if (nlri[0] != 26 || nlri[1] != 10 || (nlri[4] & 63) != 0) return NO_PREFIX;
		id = (get32(nlri + 1) - 0x0a000000) >> 6;
	}
	return id < universe.ids ? id : NO_PREFIX;
}
