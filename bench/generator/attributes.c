#include "attributes.h"
#include "universe.h"

#include <stdlib.h>

enum { EXTENDED_LENGTH = 0x10, OPTIONAL = 0x80, TRANSITIVE = 0x40 };

u32 session_router_id(u32 session) { return 0x0ac80000 + session + 1; /* 10.200.0.1 and on */ }

static u8 *put_attribute(u8 *at, u8 flags, u8 code, u8 length) {
	*at++ = flags; *at++ = code; *at++ = length;
	return at;
}

/* A set of a table: paths of 2 to 9 ASes, often communities, sometimes MED, AGGREGATOR, large communities: 85 bytes on average. */
static u8 *put_table_set(u8 *at, struct announcement what) {
	u64 random = 0x5851f42d4c957f2dull * (what.set + 1);
	next_random(&random);
	at = put_attribute(at, TRANSITIVE, ORIGIN, 1);
	*at++ = next_random(&random) % 16 == 0 ? 2 : 0;
	u32 hops = 2 + (u32)(next_random(&random) % 4 + next_random(&random) % 4);
	at = put_attribute(at, TRANSITIVE, AS_PATH, (u8)(2 + hops * 4));
	*at++ = 2; *at++ = (u8)hops;
	for (u32 hop = 0; hop < hops; hop++) at = put32(at, hop == 0 ? 3356 : 1000 + (u32)(next_random(&random) % (hop + 1 < hops ? 6000 : 390000)));
	return at;
}

static u8 *put_table_extras(u8 *at, struct announcement what) {
	u64 random = 0x14057b7ef767814full * (what.set + 1);
	u64 dice = next_random(&random) >> 8;
	if (dice % 100 < 10) {
		at = put_attribute(at, TRANSITIVE, ATOMIC_AGGREGATE, 0);
		at = put_attribute(at, OPTIONAL | TRANSITIVE, AGGREGATOR, 8);
		at = put32(at, 64512 + (u32)(dice / 100 % 1000));
		at = put32(at, 0xc6336401);
	}
	u32 communities = dice / 1000 % 4 == 0 ? 0 : 1 + (u32)(dice / 4000 % 12);
	if (communities > 0) {
		at = put_attribute(at, OPTIONAL | TRANSITIVE, COMMUNITIES, (u8)(communities * 4));
		for (u32 i = 0; i < communities; i++) at = put32(at, 3356u << 16 | (u32)(i * 1000 + next_random(&random) % 900));
	}
	return at;
}

static u8 *put_large_communities(u8 *at, struct announcement what) {
	u32 count = (what.set % 7 == 0 ? 1 + what.set % 3 : 0) + what.padding;
	if (count == 0) return at;
	if (count * 12 < 256) at = put_attribute(at, OPTIONAL | TRANSITIVE, LARGE_COMMUNITIES, (u8)(count * 12));
	else {
		*at++ = OPTIONAL | TRANSITIVE | EXTENDED_LENGTH; *at++ = LARGE_COMMUNITIES;
		at = put16(at, count * 12);
	}
	for (u32 i = 0; i < count; i++) {
		at = put32(at, 3356);
		at = put32(at, i + 1);
		at = put32(at, what.set);
	}
	return at;
}

u32 attributes_encode(struct announcement what, u8 *start) {
	u8 *at = start;
	if (universe.table) {
		at = put_table_set(at, what);
	} else {
		at = put_attribute(at, TRANSITIVE, ORIGIN, 1);
		*at++ = 0;
		at = put_attribute(at, TRANSITIVE, AS_PATH, 0);
	}
	if (!universe.ipv6) {
		at = put_attribute(at, TRANSITIVE, NEXT_HOP, 4);
		at = put32(at, 0x0a640000 + what.session + 1); /* 10.100.0.1 and on */
	}
	if (what.variant > 0) {
		at = put_attribute(at, OPTIONAL, MED, 4);
		at = put32(at, what.variant);
	}
	at = put_attribute(at, TRANSITIVE, LOCAL_PREF, 4);
	at = put32(at, what.backup ? 90 : 100);
	if (universe.table) at = put_large_communities(put_table_extras(at, what), what);
	return (u32)(at - start);
}

u32 reach_encode(struct announcement what, u32 nlri_bytes, u8 *start) {
	u8 *at = start;
	*at++ = OPTIONAL | EXTENDED_LENGTH; *at++ = MP_REACH;
	at = put16(at, 21 + nlri_bytes);
	at = put16(at, 2); *at++ = 1; *at++ = 16;
	memcpy(at, "\xfd\x00\x01\x00\0\0\0\0\0\0\0\0", 12);
	at = put32(at + 12, what.session + 1);
	*at++ = 0;
	return (u32)(at - start);
}

static u64 one(u8 flags, u8 code, const u8 *value, u32 length) {
	return hash_bytes(value, length, (u64)(flags & ~EXTENDED_LENGTH) << 8 | code) | 1;
}

static u32 header_bytes(const u8 *at) { return at[0] & EXTENDED_LENGTH ? 4 : 3; }
static u32 value_bytes(const u8 *at) { return at[0] & EXTENDED_LENGTH ? get16(at + 2) : at[2]; }

u64 expected_hash(struct announcement what, u32 cluster_id) {
	u8 bytes[MOST_MESSAGE_BYTES], own[8];
	u32 length = attributes_encode(what, bytes);
	u64 hash = 0;
	for (u8 *at = bytes; at < bytes + length; at += header_bytes(at) + value_bytes(at)) hash += one(at[0], at[1], at + header_bytes(at), value_bytes(at));
	if (universe.ipv6) hash += one(OPTIONAL, MP_REACH, bytes + length + 4, reach_encode(what, 0, bytes + length) - 4);
	put32(own, session_router_id(what.session));
	put32(own + 4, cluster_id);
	return hash + one(OPTIONAL, ORIGINATOR_ID, own, 4) + one(OPTIONAL, CLUSTER_LIST, own + 4, 4);
}

void block_walk(const u8 *at, const u8 *end, struct block *block) {
	memset(block, 0, sizeof *block);
	for (const u8 *next; at < end; at = next) {
		if (at + 3 > end || at + header_bytes(at) > end) break;
		const u8 *value = at + header_bytes(at);
		next = value + value_bytes(at);
		if (next > end) break;
		if (at[1] == MP_REACH && next - value >= 5 && value + 5 + value[3] <= next) {
			block->reach = at;
			block->reach_nlri = value + 5 + value[3];
			block->reach_end = next;
		} else if (at[1] == MP_UNREACH && next - value >= 3) {
			block->unreach = value;
			block->unreach_end = next;
		}
	}
	block->malformed = at != end;
}

static struct meaning understand(const u8 *at, const u8 *end, const struct block *block) {
	struct meaning meaning = {0, 0};
	bool originator = false, clusters = false;
	if (block->malformed) return meaning;
	for (const u8 *next; at < end; at = next) {
		const u8 *value = at + header_bytes(at);
		next = value + value_bytes(at);
		/* RFC 4271 section 9.1.2.2 (c): no MED counts as the lowest; FRR writes it as 0. */
		if (at[1] == MP_UNREACH || (at[1] == MED && next - value == 4 && get32(value) == 0)) continue;
		if (at[1] == ORIGINATOR_ID && next - value == 4) {
			meaning.originator = get32(value);
			originator = true;
		}
		if (at[1] == CLUSTER_LIST) clusters = true;
		meaning.hash += one(at[0], at[1], value, (u32)((at == block->reach ? block->reach_nlri : next) - value));
	}
	if (!originator || !clusters) meaning.hash = 0;
	return meaning;
}

struct entry { u64 key; struct meaning meaning; };
static struct entry *entries;
static u64 capacity, used;

static void grow(void) {
	struct entry *old = entries;
	u64 before = capacity;
	/* As small as it may be: what lies in the cache decides how fast we are. */
	if (capacity == 0) for (capacity = 1 << 10; capacity < universe.sets * 2; capacity *= 2);
	else capacity *= 2;
	entries = allocate(sizeof(struct entry) * capacity);
	for (u64 i = 0; i < before; i++) {
		if (old[i].key == 0) continue;
		u64 slot = old[i].key & (capacity - 1);
		while (entries[slot].key != 0) slot = (slot + 1) & (capacity - 1);
		entries[slot] = old[i];
	}
	free(old);
}

struct meaning block_meaning(const u8 *at, const u8 *end, const struct block *block) {
	u64 key;
	if (block->reach == NULL) {
		key = hash_bytes(at, (u32)(end - at), 1);
	} else {
		const u8 *value = block->reach + header_bytes(block->reach);
		key = hash_bytes(at, (u32)(block->reach - at), 2);
		key = hash_bytes(value, (u32)(block->reach_nlri - value), key);
		key = hash_bytes(block->reach_end, (u32)(end - block->reach_end), key);
	}
	key |= 1;
	if (used * 2 >= capacity) grow();
	u64 slot = key & (capacity - 1);
	while (entries[slot].key != 0 && entries[slot].key != key) slot = (slot + 1) & (capacity - 1);
	if (entries[slot].key == 0) {
		entries[slot].key = key;
		entries[slot].meaning = understand(at, end, block);
		used++;
	}
	return entries[slot].meaning;
}
