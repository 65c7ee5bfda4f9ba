#include "seen.h"

#include <stdlib.h>

enum { MOST_COLLECTED = MOST_MESSAGE_BYTES, MOST_KEPT = 1 << 21, ARENA_MARKS = 1 << 16 };

static struct seen *kept; /* in the order of their first arrival */
static u32 *table;        /* of indexes into `kept`, by key; 0: free */
static u32 capacity, used = 1;
static struct mark *arena;
static u32 arena_left;
static struct mark collected[MOST_COLLECTED];
static u32 collected_count, prefix_count;

u64 seen_key(const u8 *body, u32 length) { return hash_bytes(body, length, 7) | 1; }

/* The slot of a key, or the free one where it would be. */
static u32 *slot_of(u64 key) {
	u32 slot = (u32)(key >> 1) & (capacity - 1);
	while (table[slot] != 0 && kept[table[slot]].key != key) slot = (slot + 1) & (capacity - 1);
	return &table[slot];
}

const struct seen *seen_find(u64 key, u32 *hint) {
	if (capacity == 0) return NULL;
	u32 index = *hint + 1;
	if (index >= used || kept[index].key != key) index = *slot_of(key);
	if (index == 0) return NULL;
	*hint = index;
	return kept[index].epoch == routes_epoch ? &kept[index] : NULL;
}

void seen_collect(u32 id) {
	u64 bit = 1ull << (id & 63);
	prefix_count++;
	if (collected_count > 0 && collected[collected_count - 1].word == id >> 6) collected[collected_count - 1].mask |= bit;
	else if (collected_count < MOST_COLLECTED) collected[collected_count++] = (struct mark){ id >> 6, bit };
}

void seen_discard(void) { collected_count = prefix_count = 0; }

static void grow(void) {
	capacity = capacity == 0 ? 1 << 12 : capacity * 2;
	free(table);
	table = allocate(sizeof *table * capacity);
	kept = realloc(kept, sizeof *kept * (capacity / 2 + 1));
	if (kept == NULL) die("out of memory");
	for (u32 i = 1; i < used; i++) *slot_of(kept[i].key) = i;
}

void seen_keep(u64 key, u32 originator) {
	if (prefix_count > 0 && used < MOST_KEPT) {
		if (used * 2 >= capacity) grow();
		u32 *slot = slot_of(key);
		if (*slot == 0) *slot = used++;
		if (arena_left < collected_count) arena = allocate(sizeof *arena * (arena_left = ARENA_MARKS));
		memcpy(arena, collected, sizeof *arena * collected_count);
		kept[*slot] = (struct seen){ key, routes_epoch, arena, collected_count, prefix_count, originator };
		arena += collected_count;
		arena_left -= collected_count;
	}
	seen_discard();
}
