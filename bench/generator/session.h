/* iBGP sessions of the generator: each connects from its own address, sends what is queued and hands what arrives to the judge. */
#ifndef SESSION_H
#define SESSION_H

#include "routes.h"

enum state { DOWN, WAITING /* to connect again */, CONNECTING, OPEN_SENT, OPEN_CONFIRM, ESTABLISHED };

struct stream { u8 *bytes; size_t length, sent, capacity; };

struct session {
	u32 index;
	int fd;
	enum state state;
	bool stalled, blocked, released, receiver, complete, was_established;
	u16 hold_seconds;
	u8 *tail; /* the beginning of a message that has not arrived whole */
	u32 tail_length, hint;
	struct stream out;
	struct view view;
	double retry_at, keepalive_at, heard_at, established_at, complete_at;
};

struct settings {
	u32 target_address, local_base; /* host order; session i connects from local_base + i */
	u16 target_port, hold_seconds;
	u32 as_number, cluster_id;
};

struct totals {
	u64 updates, announcements, withdrawals, bytes, problems[8], echoes;
	u32 established, lost, retries, connecting, pending; /* pending: receivers that are not complete */
	double longest_silence, complete_at, first_sent_at;
	char first_problem[256], first_loss[160];
};

extern struct settings settings;
extern struct session *sessions;
extern u32 session_count;
extern struct totals totals;

void sessions_make(u32 count);
void session_connect(struct session *session);
void session_close(struct session *session);
void session_flush(struct session *session);
void session_judge(struct session *session); /* keeps `complete` and `totals.pending` right */
/* Handles events for at most this long; answers when something happened or the time is over. */
void sessions_step(int timeout_ms);
/* Appends to what the session sends. */
u8 *stream_reserve(struct stream *stream, size_t bytes);
void session_stall(struct session *session, bool stalled);
/* receive.c: whole messages at the start of these bytes are handled; answers how many bytes they were. */
u32 receive(struct session *session, const u8 *bytes, u32 length);
void session_lost(struct session *session, const char *why);
void session_opened(struct session *session, u16 hold_seconds);
void session_established(struct session *session);

#endif
