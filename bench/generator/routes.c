#include "routes.h"
#include "universe.h"

#include <stdlib.h>

enum { NOBODY = 0xffff };

u64 routes_epoch = 1;

static u64 *expected; /* hash by id; 0: not announced */
static u16 *owners;   /* session by id */
static bool *denied;  /* by id */
static u32 announced;
static u32 own[MOST_SESSIONS];
static struct view *views[MOST_SESSIONS];
static u32 view_count;

void routes_make(void) {
	expected = allocate(sizeof(u64) * universe.ids);
	owners = allocate(sizeof(u16) * universe.ids);
	denied = allocate(universe.ids);
	memset(owners, 0xff, sizeof(u16) * universe.ids);
}

void view_make(struct view *view) {
	u32 words = (universe.ids + 63) / 64;
	view->good = allocate(words * 8);
	view->wrong = allocate(words * 8);
}

void view_clear(struct view *view) {
	u32 words = (universe.ids + 63) / 64;
	if (view->good_count > 0) memset(view->good, 0, words * 8);
	if (view->wrong_count > 0) memset(view->wrong, 0, words * 8);
	view->good_count = view->wrong_count = 0;
}

void routes_watch(struct view *view) {
	if (view_count == MOST_SESSIONS) die("more than %d sessions", MOST_SESSIONS);
	views[view_count++] = view;
}

u32 routes_needed(u32 session) { return announced - own[session]; }

static void spoil(u32 id) {
	u64 bit = 1ull << (id & 63);
	for (u32 i = 0; i < view_count; i++) {
		struct view *view = views[i];
		if (view->good_count == 0 || (view->good[id >> 6] & bit) == 0) continue;
		view->good[id >> 6] &= ~bit;
		view->wrong[id >> 6] |= bit;
		view->good_count--;
		view->wrong_count++;
	}
}

static void forget(u32 id) {
	if (expected[id] == 0) return;
	expected[id] = 0;
	routes_epoch++;
	announced--;
	own[owners[id]]--;
	owners[id] = NOBODY;
	spoil(id);
}

void routes_expect_none(u32 position) { forget(universe_id(position)); }

void routes_expect(u32 position, struct announcement what, u64 hash) {
	u32 id = universe_id(position);
	if (denied[id] || expected[id] == hash) return;
	forget(id);
	expected[id] = hash;
	routes_epoch++;
	owners[id] = (u16)what.session;
	announced++;
	own[what.session]++;
}

void routes_deny(u32 address, u32 length) {
	u8 nlri[20];
	for (u32 id = 0; id < universe.ids; id++) {
		universe_encode(id, nlri);
		u32 shift = 32 - length;
		if (nlri[0] >= length && get32(nlri + 1) >> shift == address >> shift) denied[id] = true;
	}
}

void routes_drop_sessions(u32 first, u32 count) {
	for (u32 id = 0; id < universe.ids; id++)
		if (owners[id] != NOBODY && owners[id] - first < count) forget(id);
}

enum problem routes_announced(struct view *view, u32 id, u64 hash) {
	u64 *good = &view->good[id >> 6], *wrong = &view->wrong[id >> 6], bit = 1ull << (id & 63);
	if (hash != 0 && expected[id] == hash) {
		if ((*good & bit) == 0) {
			*good |= bit;
			view->good_count++;
		}
		if (view->wrong_count > 0 && (*wrong & bit) != 0) {
			*wrong &= ~bit;
			view->wrong_count--;
		}
		return NO_PROBLEM;
	}
	if ((*good & bit) != 0) {
		*good &= ~bit;
		view->good_count--;
	}
	if ((*wrong & bit) == 0) {
		*wrong |= bit;
		view->wrong_count++;
	}
	return hash == 0 ? NOT_REFLECTED : expected[id] == 0 ? UNEXPECTED_PREFIX : WRONG_ATTRIBUTES;
}

void routes_announced_right(struct view *view, u32 word, u64 mask) {
	view->good_count += (u32)__builtin_popcountll(mask & ~view->good[word]);
	view->good[word] |= mask;
	if (view->wrong_count == 0) return;
	view->wrong_count -= (u32)__builtin_popcountll(mask & view->wrong[word]);
	view->wrong[word] &= ~mask;
}

void routes_withdrawn(struct view *view, u32 id) {
	u64 *good = &view->good[id >> 6], *wrong = &view->wrong[id >> 6], bit = 1ull << (id & 63);
	if ((*good & bit) != 0) {
		*good &= ~bit;
		view->good_count--;
	}
	if ((*wrong & bit) != 0) {
		*wrong &= ~bit;
		view->wrong_count--;
	}
}
