/*
 * What is announced now, and what each receiver holds of it. A receiver has two bits a prefix: `good` says that it holds the prefix
 * exactly as expected, `wrong` that it holds something else (attributes that nobody expects, or a prefix that should be gone).
 * A receiver is complete when it has all good bits that it should have, and no wrong one.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include "attributes.h"

struct view {
	u64 *good, *wrong;
	u32 good_count, wrong_count;
};

enum problem { NO_PROBLEM, UNKNOWN_PREFIX, WRONG_ATTRIBUTES, UNEXPECTED_PREFIX, NOT_REFLECTED };

/* Grows whenever something is expected differently. */
extern u64 routes_epoch;

void routes_make(void);
void view_make(struct view *view);
void view_clear(struct view *view);
/* How many prefixes a session must hold: all but its own and those that policy denies. */
u32 routes_needed(u32 session);
/* From now on the prefix at this position is expected so; every view that held it otherwise is wrong until told. */
void routes_expect(u32 position, struct announcement what, u64 hash);
void routes_expect_none(u32 position);
/* No receiver may get prefixes inside this one (a policy of the reflector); before anything is announced. */
void routes_deny(u32 address, u32 length);
/* All that these sessions announced is gone. */
void routes_drop_sessions(u32 first, u32 count);
/* Views to keep right while expectations change. */
void routes_watch(struct view *view);

/* What a session received. */
enum problem routes_announced(struct view *view, u32 id, u64 hash);
/* The prefixes of these bits, all as expected. */
void routes_announced_right(struct view *view, u32 word, u64 mask);
void routes_withdrawn(struct view *view, u32 id);

#endif
