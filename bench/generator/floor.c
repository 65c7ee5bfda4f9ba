/*
 * The null reflector: adds ORIGINATOR_ID and CLUSTER_LIST to every UPDATE and copies it to all other peers, with no table at all. What the
 * load generator reaches against it is the limit of the generator and of the kernel, which no real reflector can pass.
 *
 *   floor ADDRESS PORT AS CLUSTER-ID [FAULT EVERY]
 *
 * FAULT makes it lie in every EVERY-th UPDATE, to prove that the generator notices: drop, attribute, originator, prefix, withdrawn.
 */
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 18, MOST_TAIL = 1 << 16, ADDED = 14, MOST_RUNS = 1 << 22 };
static const size_t log_bytes = 1ull << 36; /* reserved, not committed */

struct peer {
	int fd;
	u32 id, router_id;
	bool established, blocked;
	u8 tail[MOST_TAIL];
	u32 tail_length, run;
	size_t sent;
};
struct run { size_t end; u32 source; };

static struct peer *peers[MOST_SESSIONS];
static u32 peer_count, next_id = 1, as_number, cluster_id, fault_every;
static u64 update_count;
static const char *fault = "";
static u8 *log_start;
static size_t log_end;
static struct run *runs;
static u32 run_count;
static int poller;

static u8 *log_room(u32 source, u32 bytes) {
	if (log_end + bytes > log_bytes) die("the log is full");
	if (run_count == 0 || runs[run_count - 1].source != source) {
		if (run_count == MOST_RUNS) die("too many runs");
		runs[run_count++].source = source;
	}
	u8 *at = log_start + log_end;
	log_end += bytes;
	runs[run_count - 1].end = log_end;
	return at;
}

static void copy_update(struct peer *peer, const u8 *message, u32 size) {
	const u8 *body = message + HEADER_BYTES;
	u32 withdrawn = get16(body), attributes = get16(body + 2 + withdrawn);
	bool faulty = fault_every > 0 && ++update_count % fault_every == 0;
	if (size == HEADER_BYTES + 4) return; /* End-of-RIB */
	if (faulty && strcmp(fault, "drop") == 0) return;
	if (attributes == 0 || (withdrawn == 0 && size == HEADER_BYTES + 4 + attributes && body[5] == 15)) {
		if (faulty && strcmp(fault, "withdrawn") == 0) return;
		memcpy(log_room(peer->id, size), message, size);
		return;
	}
	if (size + ADDED > MOST_MESSAGE_BYTES) {
		/* Only blocks of a mesh fill a message so far: halves of the NLRI, each with all attributes. */
		const u8 *nlri = body + 4 + withdrawn + attributes, *end = message + size, *middle = nlri;
		if (body[5] == 14) die("an UPDATE with MP_REACH_NLRI that leaves no room for reflection");
		while (middle < nlri + (end - nlri) / 2) middle += 1 + (middle[0] + 7) / 8;
		u8 half[MOST_MESSAGE_BYTES];
		u32 head = (u32)(nlri - message);
		for (int part = 0; part < 2; part++) {
			const u8 *from = part == 0 ? nlri : middle;
			u32 length = (u32)((part == 0 ? middle : end) - from);
			memcpy(half, message, head);
			memcpy(half + head, from, length);
			put16(half + 16, head + length);
			copy_update(peer, half, head + length);
		}
		return;
	}
	u8 *copy = log_room(peer->id, size + ADDED);
	u32 head = (u32)(body + 4 + withdrawn + attributes - message);
	memcpy(copy, message, head);
	put16(copy + 16, size + ADDED);
	put16(copy + HEADER_BYTES + 2 + withdrawn, attributes + ADDED);
	memcpy(copy + head, "\x80\x09\x04", 3);
	put32(copy + head + 3, peer->router_id + (faulty && strcmp(fault, "originator") == 0));
	memcpy(copy + head + 7, "\x80\x0a\x04", 3);
	put32(copy + head + 10, cluster_id);
	memcpy(copy + head + ADDED, message + head, size - head);
	if (faulty && strcmp(fault, "attribute") == 0) copy[head - 1] ^= 1;
	if (faulty && strcmp(fault, "prefix") == 0) copy[size + ADDED - 1] ^= 0x40;
}

static void leave(struct peer *peer) {
	close(peer->fd);
	for (u32 i = 0; i < peer_count; i++)
		if (peers[i] == peer) { peers[i] = peers[--peer_count]; break; }
	free(peer);
	/* With nobody there, nothing is announced any more. */
	if (peer_count == 0) log_end = run_count = 0;
}

static void flush(struct peer *peer) {
	while (peer->run < run_count) {
		if (runs[peer->run].source == peer->id || peer->sent == runs[peer->run].end) { peer->sent = runs[peer->run++].end; continue; }
		/* Runs of others that lie one after the other go out in one write. */
		u32 last = peer->run;
		while (last + 1 < run_count && runs[last + 1].source != peer->id && runs[last].end - peer->sent < 1 << 18) last++;
		size_t wanted = runs[last].end - peer->sent;
		ssize_t sent = send(peer->fd, log_start + peer->sent, wanted > 1 << 18 ? 1 << 18 : wanted, MSG_NOSIGNAL);
		bool blocked = sent < 0 && errno == EAGAIN;
		if (blocked != peer->blocked) {
			struct epoll_event event = { .events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = peer };
			epoll_ctl(poller, EPOLL_CTL_MOD, peer->fd, &event);
			peer->blocked = blocked;
		}
		if (sent < 0) return;
		peer->sent += (size_t)sent;
		while (peer->run < run_count && runs[peer->run].end <= peer->sent) peer->run++;
	}
	/* The last run may still grow. */
	if (peer->run > 0 && peer->run == run_count) peer->run--;
}

static void say(struct peer *peer, u8 type) {
	u8 message[MOST_MESSAGE_BYTES];
	u32 length = HEADER_BYTES;
	if (type == TYPE_OPEN) length = write_open(message, as_number, 90, 0x0afffffe);
	else write_header(message, HEADER_BYTES, type);
	if (send(peer->fd, message, length, MSG_NOSIGNAL) < 0) fprintf(stderr, "floor: send: %s\n", strerror(errno));
}

/* Answers false when the peer has gone. */
static bool readable(struct peer *peer) {
	static u8 buffer[MOST_TAIL + READ_BYTES];
	memcpy(buffer, peer->tail, peer->tail_length);
	ssize_t got = recv(peer->fd, buffer + peer->tail_length, READ_BYTES, 0);
	if (got < 0 && errno == EAGAIN) return true;
	if (got <= 0) { leave(peer); return false; }
	u32 length = peer->tail_length + (u32)got, used = 0;
	while (length - used >= HEADER_BYTES) {
		const u8 *message = buffer + used;
		u32 size = get16(message + 16);
		if (length - used < size) break;
		used += size;
		if (message[18] == TYPE_UPDATE) copy_update(peer, message, size);
		else if (message[18] == TYPE_OPEN) {
			peer->router_id = get32(message + HEADER_BYTES + 5);
			say(peer, TYPE_OPEN);
			say(peer, TYPE_KEEPALIVE);
		} else if (message[18] == TYPE_KEEPALIVE) {
			/* Inside a message that is half sent there is no place for it; the UPDATEs keep that session alive. */
			if (peer->established && !peer->blocked) say(peer, TYPE_KEEPALIVE);
			peer->established = true;
		}
	}
	peer->tail_length = length - used;
	memcpy(peer->tail, buffer + used, peer->tail_length);
	return true;
}

static void welcome(int listener) {
	int on = 1, fd;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (peer_count == MOST_SESSIONS) die("too many peers");
		struct peer *peer = allocate(sizeof *peer);
		peer->fd = fd;
		peer->id = next_id++;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = peer };
		epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
		peers[peer_count++] = peer;
	}
}

int main(int count, char **arguments) {
	die_with_parent();
	if (count < 5) die("usage: floor ADDRESS PORT AS CLUSTER-ID [FAULT EVERY]");
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons((u16)atoi(arguments[2])) };
	struct in_addr cluster;
	if (inet_pton(AF_INET, arguments[1], &local.sin_addr) != 1 || inet_pton(AF_INET, arguments[4], &cluster) != 1) die("not an address");
	as_number = (u32)strtoul(arguments[3], NULL, 10);
	cluster_id = ntohl(cluster.s_addr);
	if (count > 6) { fault = arguments[5]; fault_every = (u32)atoi(arguments[6]); }
	log_start = mmap(NULL, log_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (log_start == MAP_FAILED) die("mmap: %s", strerror(errno));
	runs = allocate(sizeof *runs * MOST_RUNS);
	int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&local, sizeof local) != 0 || listen(listener, 4096) != 0) die("%s port %s: %s", arguments[1], arguments[2], strerror(errno));
	poller = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event wanted = { .events = EPOLLIN, .data.ptr = NULL }, events[256];
	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &wanted);
	for (;;) {
		int ready = epoll_wait(poller, events, 256, -1);
		for (int i = 0; i < ready; i++) {
			struct peer *peer = events[i].data.ptr;
			if (peer == NULL) { welcome(listener); continue; }
			bool writable = events[i].events & EPOLLOUT;
			if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !readable(peer)) continue;
			if (writable) flush(peer);
		}
		for (u32 i = 0; i < peer_count; i++)
			if (peers[i]->established && !peers[i]->blocked && peers[i]->sent < log_end) flush(peers[i]);
	}
}
