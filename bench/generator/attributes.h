/* The attribute sets that are announced, and what a receiver must see of them behind a route reflector. */
#ifndef ATTRIBUTES_H
#define ATTRIBUTES_H

#include "common.h"

enum {
	ORIGIN = 1, AS_PATH = 2, NEXT_HOP = 3, MED = 4, LOCAL_PREF = 5, ATOMIC_AGGREGATE = 6, AGGREGATOR = 7, COMMUNITIES = 8,
	ORIGINATOR_ID = 9, CLUSTER_LIST = 10, MP_REACH = 14, MP_UNREACH = 15, LARGE_COMMUNITIES = 32,
};

/* What tells two announcements of a set apart: the session that sends it, its variant (a MED), and whether it shall lose the selection. */
/* `padding`: large communities besides those of the set, which make the attributes longer. */
struct announcement { u32 set, session, variant; bool backup; u32 padding; };

/* Where things lie in the attribute block of an UPDATE; MP_REACH is there only for IPv6. */
struct block {
	const u8 *reach, *reach_nlri, *reach_end, *unreach, *unreach_end;
	bool malformed;
};

struct meaning {
	u64 hash;       /* of all attributes in no order, the length encoding and the NLRI aside; 0: malformed or not reflected */
	u32 originator; /* ORIGINATOR_ID */
};

u32 session_router_id(u32 session);
/* Writes all attributes but MP_REACH; answers how many bytes. */
u32 attributes_encode(struct announcement what, u8 *at);
/* Writes flags, type, extended length and value of MP_REACH up to its NLRI; `nlri_bytes` will follow. */
u32 reach_encode(struct announcement what, u32 nlri_bytes, u8 *at);
/* The hash that a receiver finds when a reflector with this cluster id did everything right. */
u64 expected_hash(struct announcement what, u32 cluster_id);
void block_walk(const u8 *at, const u8 *end, struct block *block);
/* Remembers blocks that were seen: the same bytes are understood once. */
struct meaning block_meaning(const u8 *at, const u8 *end, const struct block *block);

#endif
