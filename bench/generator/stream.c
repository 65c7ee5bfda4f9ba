#include "stream.h"
#include "universe.h"

enum { MOST_ATTRIBUTES = MOST_MESSAGE_BYTES };

/* One UPDATE with as many prefixes as fit; answers the position after the last. */
static u32 announce_some(struct session *session, u32 first, u32 end, struct announcement what) {
	u8 message[MOST_MESSAGE_BYTES], attributes[MOST_ATTRIBUTES], nlri[MOST_MESSAGE_BYTES];
	u32 length = attributes_encode(what, attributes), nlri_length = 0;
	u32 room = MOST_MESSAGE_BYTES - HEADER_BYTES - 4 - length - (universe.ipv6 ? 25 : 0), position = first;
	for (; position < end && nlri_length + 17 <= room; position++) nlri_length += universe_encode(universe_id(position), nlri + nlri_length);
	u8 *at = put16(message + HEADER_BYTES, 0), *total = at;
	at += 2;
	/* RFC 7606 section 5.1: MP_REACH_NLRI comes first. */
	if (universe.ipv6) {
		at += reach_encode(what, nlri_length, at);
		memcpy(at, nlri, nlri_length);
		at += nlri_length;
	}
	memcpy(at, attributes, length);
	at += length;
	put16(total, (u32)(at - total - 2));
	if (!universe.ipv6) {
		memcpy(at, nlri, nlri_length);
		at += nlri_length;
	}
	u32 size = (u32)(at - message);
	write_header(message, size, TYPE_UPDATE);
	memcpy(stream_reserve(&session->out, size), message, size);
	return position;
}

void stream_announce(struct session *session, u32 first, u32 count, struct announcement what) {
	what.session = session->index;
	for (u32 position = first, last = first + count; position < last;) {
		what.set = universe_set(position);
		u32 end = universe.set_start[what.set + 1] < last ? universe.set_start[what.set + 1] : last;
		if (!what.backup) {
			u64 hash = expected_hash(what, settings.cluster_id);
			for (u32 i = position; i < end; i++) routes_expect(i, what, hash);
		}
		while (position < end) position = announce_some(session, position, end, what);
	}
}

void stream_withdraw(struct session *session, u32 first, u32 count) {
	for (u32 position = first; position < first + count;) {
		u8 message[MOST_MESSAGE_BYTES], *at = message + HEADER_BYTES + (universe.ipv6 ? 11 : 2), *start = at;
		for (; position < first + count && at + 17 + 2 <= message + MOST_MESSAGE_BYTES; position++) {
			at += universe_encode(universe_id(position), at);
			routes_expect_none(position);
		}
		u32 length = (u32)(at - start);
		if (universe.ipv6) {
			u8 *head = put16(put16(message + HEADER_BYTES, 0), length + 7);
			*head++ = 0x90; *head++ = MP_UNREACH;
			head = put16(head, length + 3);
			head = put16(head, 2);
			*head = 1;
		} else {
			put16(message + HEADER_BYTES, length);
			at = put16(at, 0);
		}
		u32 size = (u32)(at - message);
		write_header(message, size, TYPE_UPDATE);
		memcpy(stream_reserve(&session->out, size), message, size);
	}
}
