#define _GNU_SOURCE
#include "session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 18, MOST_TAIL = 1 << 16 };

struct settings settings = { .local_base = 0x7f010001, .target_address = 0x7f000001, .target_port = 1790, .hold_seconds = 90, .as_number = 64512 };
struct session *sessions;
u32 session_count;
struct totals totals;
static int poller = -1;
static double tick_at;

void sessions_make(u32 count) {
	if (count > MOST_SESSIONS) die("at most %d sessions", MOST_SESSIONS);
	poller = epoll_create1(EPOLL_CLOEXEC);
	sessions = allocate(sizeof *sessions * count);
	session_count = count;
	for (u32 i = 0; i < count; i++) {
		sessions[i].index = i;
		sessions[i].fd = -1;
		sessions[i].tail = allocate(MOST_TAIL);
		view_make(&sessions[i].view);
		routes_watch(&sessions[i].view);
	}
}

u8 *stream_reserve(struct stream *stream, size_t bytes) {
	if (stream->length + bytes > stream->capacity) {
		stream->capacity = (stream->length + bytes) * 2;
		stream->bytes = realloc(stream->bytes, stream->capacity);
		if (stream->bytes == NULL) die("out of memory: %zu bytes", stream->capacity);
	}
	u8 *at = stream->bytes + stream->length;
	stream->length += bytes;
	return at;
}

static void watch(struct session *session, int operation) {
	struct epoll_event event = { .data.ptr = session };
	if (!session->stalled) event.events |= EPOLLIN;
	if (session->blocked || session->state == CONNECTING) event.events |= EPOLLOUT;
	if (epoll_ctl(poller, operation, session->fd, &event) != 0) die("epoll_ctl: %s", strerror(errno));
}

static void later(struct session *session) {
	if (session->fd >= 0) close(session->fd);
	session->fd = -1;
	session->state = WAITING;
	session->retry_at = now_seconds() + 0.05;
	totals.retries++;
}

void session_connect(struct session *session) {
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(settings.local_base + session->index) };
	struct sockaddr_in target = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(settings.target_address), .sin_port = htons(settings.target_port) };
	int on = 1;
	session->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (session->fd < 0) die("socket: %s", strerror(errno));
	setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(session->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	if (bind(session->fd, (struct sockaddr *)&local, sizeof local) != 0) die("bind: %s", strerror(errno));
	session->state = CONNECTING;
	session->blocked = session->complete = false;
	session->tail_length = 0;
	session->out.sent = 0;
	view_clear(&session->view);
	if (connect(session->fd, (struct sockaddr *)&target, sizeof target) != 0 && errno != EINPROGRESS) later(session);
	else watch(session, EPOLL_CTL_ADD);
}

void session_close(struct session *session) {
	if (session->state == ESTABLISHED) totals.established--;
	if (session->fd >= 0) close(session->fd);
	session->fd = -1;
	session->state = DOWN;
	session->out.length = session->out.sent = 0;
	session->released = session->blocked = false;
	view_clear(&session->view);
	session_judge(session);
}

void session_lost(struct session *session, const char *why) {
	if (session->state == ESTABLISHED) {
		totals.lost++;
		if (totals.first_loss[0] == 0) snprintf(totals.first_loss, sizeof totals.first_loss, "session %u: %s", session->index, why);
		session_close(session);
	} else if (session->state > WAITING) {
		later(session);
	}
}

static bool send_small(struct session *session, const u8 *bytes, u32 length) {
	return send(session->fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool send_keepalive(struct session *session) {
	u8 message[HEADER_BYTES];
	write_header(message, HEADER_BYTES, TYPE_KEEPALIVE);
	session->keepalive_at = now_seconds() + session->hold_seconds / 3.0 * (0.75 + (session->index % 64) / 256.0);
	return send_small(session, message, HEADER_BYTES);
}

static void connected(struct session *session) {
	u8 message[MOST_MESSAGE_BYTES];
	int error = 0;
	socklen_t size = sizeof error;
	getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error != 0) { later(session); return; }
	session->state = OPEN_SENT;
	session->heard_at = now_seconds();
	u32 length = write_open(message, settings.as_number, settings.hold_seconds, session_router_id(session->index));
	if (!send_small(session, message, length)) later(session);
	else watch(session, EPOLL_CTL_MOD);
}

void session_opened(struct session *session, u16 hold_seconds) {
	session->hold_seconds = hold_seconds < settings.hold_seconds ? hold_seconds : settings.hold_seconds;
	session->state = OPEN_CONFIRM;
	if (!send_keepalive(session)) later(session);
}

void session_established(struct session *session) {
	session->state = ESTABLISHED;
	session->was_established = true;
	session->established_at = now_seconds();
	totals.established++;
	session_judge(session);
	if (session->released) session_flush(session);
}

void session_flush(struct session *session) {
	struct stream *out = &session->out;
	if (session->state != ESTABLISHED) return;
	if (totals.first_sent_at == 0 && out->sent < out->length) totals.first_sent_at = now_seconds();
	while (out->sent < out->length) {
		size_t wanted = out->length - out->sent;
		ssize_t sent = send(session->fd, out->bytes + out->sent, wanted > 1 << 18 ? 1 << 18 : wanted, MSG_NOSIGNAL);
		if (sent < 0) {
			if (errno != EAGAIN) { session_lost(session, strerror(errno)); return; }
			if (!session->blocked) { session->blocked = true; watch(session, EPOLL_CTL_MOD); }
			return;
		}
		out->sent += (size_t)sent;
	}
	out->sent = out->length = 0;
	if (session->blocked) { session->blocked = false; watch(session, EPOLL_CTL_MOD); }
}

void session_judge(struct session *session) {
	bool complete = session->state == ESTABLISHED && session->view.wrong_count == 0 && session->view.good_count == routes_needed(session->index);
	if (complete == session->complete) return;
	session->complete = complete;
	if (!session->receiver) return;
	if (complete) {
		totals.pending--;
		session->complete_at = totals.complete_at = now_seconds();
	} else totals.pending++;
}

void session_stall(struct session *session, bool stalled) {
	session->stalled = stalled;
	if (session->fd >= 0) watch(session, EPOLL_CTL_MOD);
}

static void readable(struct session *session) {
	static u8 buffer[MOST_TAIL + READ_BYTES];
	memcpy(buffer, session->tail, session->tail_length);
	ssize_t got = recv(session->fd, buffer + session->tail_length, READ_BYTES, 0);
	if (got < 0 && errno == EAGAIN) return;
	if (got <= 0) { session_lost(session, got == 0 ? "closed by the other side" : strerror(errno)); return; }
	totals.bytes += (u64)got;
	double now = now_seconds();
	if (now - session->heard_at > totals.longest_silence && session->state == ESTABLISHED) totals.longest_silence = now - session->heard_at;
	session->heard_at = now;
	u32 length = session->tail_length + (u32)got, used = receive(session, buffer, length);
	if (session->fd < 0) return;
	session->tail_length = length - used;
	if (session->tail_length > MOST_TAIL) die("session %u: a message of more than %d bytes", session->index, MOST_TAIL);
	memcpy(session->tail, buffer + used, session->tail_length);
	session_judge(session);
}

static void tick(double now) {
	tick_at = now + 0.02;
	for (struct session *session = sessions; session < sessions + session_count; session++) {
		if (session->state == WAITING && now >= session->retry_at) session_connect(session);
		if (session->state != ESTABLISHED || session->hold_seconds == 0) continue;
		/* A keepalive may not land inside an UPDATE that is half sent. */
		if (now >= session->keepalive_at && session->out.sent == 0 && !send_keepalive(session)) session->keepalive_at = now + 0.2;
		if (!session->stalled && now - session->heard_at > session->hold_seconds) session_lost(session, "heard nothing for the hold time");
	}
}

void sessions_step(int timeout_ms) {
	struct epoll_event events[256];
	int count = epoll_wait(poller, events, 256, timeout_ms < 20 ? timeout_ms : 20);
	for (int i = 0; i < count; i++) {
		struct session *session = events[i].data.ptr;
		if (session->fd < 0) continue;
		if (session->state == CONNECTING) { connected(session); continue; }
		if (events[i].events & EPOLLOUT) session_flush(session);
		if (session->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(session);
	}
	double now = now_seconds();
	if (now >= tick_at) tick(now);
}
