/*
 * The prefixes of a run. Every prefix has a small dense id that can be computed from its bytes, so that a receiver needs one bit a prefix.
 * A table is shaped like the Internet's: allocations with overlapping prefixes of several lengths, most of them /24 (IPv6: /48). A mesh
 * announces blocks, /26 or /122. Commands speak of positions: 0, 1, 2 ... in the order of sending, which for a table is not address order.
 */
#ifndef UNIVERSE_H
#define UNIVERSE_H

#include "common.h"

enum { NO_PREFIX = 0xffffffff };

struct universe {
	bool table, ipv6;
	u32 count;    /* positions that may be announced */
	u32 ids;      /* ids are below this */
	u32 allocations, stride;
	u32 sets;     /* attribute sets */
	u32 *set_start; /* first position of each set, and the end */
};

extern struct universe universe;

/* kind: table4, table6, block4, block6. */
void universe_make(const char *kind, u32 count);
u32 universe_id(u32 position);
u32 universe_set(u32 position);
/* Writes length and prefix bytes; answers how many. */
u32 universe_encode(u32 id, u8 *at);
/* nlri holds the length in bits, then the bytes. Answers NO_PREFIX for what was never announced. */
u32 universe_find(const u8 *nlri);

#endif
