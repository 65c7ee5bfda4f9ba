/* What arrives: framing, and the judgement of every prefix with its attributes. */
#include "seen.h"
#include "session.h"
#include "universe.h"

#include <stdio.h>

static const char *const problem_names[] = { "", "a prefix that nobody announced", "attributes that nobody expects", "a prefix that should not be there", "not reflected properly" };

static void complain(struct session *session, enum problem problem, const u8 *nlri, const u8 *attributes, const u8 *end) {
	totals.problems[problem]++;
	if (totals.first_problem[0] != 0) return;
	int at = snprintf(totals.first_problem, sizeof totals.first_problem, "session %u: %s: /%u ", session->index, problem_names[problem], nlri[0]);
	for (u32 i = 1; i <= (nlri[0] + 7u) / 8 && i < 17; i++) at += snprintf(totals.first_problem + at, 3, "%02x", nlri[i]);
	totals.first_problem[at++] = ' ';
	for (; attributes < end && at < (int)sizeof totals.first_problem - 4; attributes++) at += snprintf(totals.first_problem + at, 3, "%02x", *attributes);
	totals.first_problem[at] = 0;
}

/* Fewer sessions than this get so few equal messages that remembering them costs more than it saves. */
enum { FEW_SESSIONS = 5 };

/* Answers whether all prefixes were as expected. */
static bool announced(struct session *session, const u8 *at, const u8 *end, struct meaning meaning, const u8 *attributes, const u8 *attributes_end) {
	/* RFC 4456 section 8: whoever finds itself in ORIGINATOR_ID ignores the route. FRR counts on that. */
	bool echo = meaning.originator == session_router_id(session->index);
	bool right = true;
	for (; at < end; at += 1 + (at[0] + 7u) / 8) {
		u32 id = universe_find(at);
		totals.announcements++;
		if (id == NO_PREFIX) {
			/* Nothing withdraws what has no bit: it stays wrong for good. */
			session->view.wrong_count++;
			complain(session, UNKNOWN_PREFIX, at, attributes, attributes_end);
			right = false;
			continue;
		}
		if (echo) { totals.echoes++; right = false; continue; }
		enum problem problem = routes_announced(&session->view, id, meaning.hash);
		if (problem == NO_PROBLEM) { seen_collect(id); continue; }
		complain(session, problem, at, attributes, attributes_end);
		right = false;
	}
	return right;
}

static bool judged_before(struct session *session, u64 key) {
	const struct seen *seen = seen_find(key, &session->hint);
	if (seen == NULL || seen->originator == session_router_id(session->index)) return false;
	for (u32 i = 0; i < seen->mark_count; i++) routes_announced_right(&session->view, seen->marks[i].word, seen->marks[i].mask);
	totals.announcements += seen->prefixes;
	return true;
}

static void withdrawn(struct session *session, const u8 *at, const u8 *end) {
	for (; at < end; at += 1 + (at[0] + 7u) / 8) {
		u32 id = universe_find(at);
		totals.withdrawals++;
		if (id != NO_PREFIX) routes_withdrawn(&session->view, id);
	}
}

static void update(struct session *session, const u8 *at, const u8 *end) {
	totals.updates++;
	bool remember = session_count >= FEW_SESSIONS;
	u64 key = remember ? seen_key(at, (u32)(end - at)) : 0;
	if (remember && judged_before(session, key)) return;
	const u8 *withdrawn_end = at + 2 + get16(at);
	if (at + 4 > end || withdrawn_end + 2 > end) { session_lost(session, "an UPDATE with wrong lengths"); return; }
	const u8 *attributes = withdrawn_end + 2, *attributes_end = attributes + get16(withdrawn_end);
	if (attributes_end > end) { session_lost(session, "an UPDATE with wrong lengths"); return; }
	withdrawn(session, at + 2, withdrawn_end);
	if (attributes == attributes_end) return;
	struct block block;
	block_walk(attributes, attributes_end, &block);
	if (block.unreach != NULL) withdrawn(session, block.unreach + 3, block.unreach_end);
	if (block.reach == NULL && attributes_end == end) return;
	struct meaning meaning = block_meaning(attributes, attributes_end, &block);
	bool right = at + 2 == withdrawn_end && block.unreach == NULL;
	right &= announced(session, attributes_end, end, meaning, attributes, attributes_end);
	if (block.reach != NULL) right &= announced(session, block.reach_nlri, block.reach_end, meaning, attributes, attributes_end);
	if (right && remember) seen_keep(key, meaning.originator);
	else seen_discard();
}

static void notification(struct session *session, const u8 *body, u32 length) {
	char why[96];
	snprintf(why, sizeof why, "NOTIFICATION %u/%u (%u bytes of data)", length > 0 ? body[0] : 0, length > 1 ? body[1] : 0, length > 2 ? length - 2 : 0);
	session_lost(session, why);
}

u32 receive(struct session *session, const u8 *bytes, u32 length) {
	u32 used = 0;
	while (length - used >= HEADER_BYTES && session->fd >= 0) {
		const u8 *message = bytes + used;
		u32 size = get16(message + 16);
		if (size < HEADER_BYTES) { session_lost(session, "a message with a wrong length"); break; }
		if (length - used < size) break;
		used += size;
		const u8 *body = message + HEADER_BYTES;
		switch (message[18]) {
			case TYPE_OPEN:
				if (session->state == OPEN_SENT) session_opened(session, get16(body + 3));
				break;
			case TYPE_KEEPALIVE:
				if (session->state == OPEN_CONFIRM) session_established(session);
				break;
			case TYPE_UPDATE:
				if (session->state == ESTABLISHED) update(session, body, message + size);
				break;
			case TYPE_NOTIFICATION:
				notification(session, body, size - HEADER_BYTES);
				break;
			default:
				break;
		}
	}
	return used;
}
