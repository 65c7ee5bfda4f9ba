/*
 * UPDATEs that were judged before. A reflector sends most messages to many clients; what was found entirely right once, and nothing is
 * expected differently since, need not be taken apart again: its prefixes are bits to set.
 */
#ifndef SEEN_H
#define SEEN_H

#include "routes.h"

/* Prefixes with neighbouring ids. */
struct mark { u32 word; u64 mask; };

struct seen {
	u64 key, epoch;
	struct mark *marks;
	u32 mark_count, prefixes, originator;
};

u64 seen_key(const u8 *body, u32 length);
/*
 * A message that was right under the expectations of now, or NULL. Most receivers get the messages in the same order: `hint`, kept by
 * the caller for each of them, is where the next one is looked for first.
 */
const struct seen *seen_find(u64 key, u32 *hint);
/* While a message is judged: collect its ids, then keep it if it was right, or not. */
void seen_collect(u32 id);
void seen_discard(void);
void seen_keep(u64 key, u32 originator);

#endif
