/*
 * The load generator. Commands come as lines on standard input; every command answers with one line of JSON. All sessions live on one thread.
 *
 *   target ADDRESS PORT AS CLUSTER-ID HOLD-SECONDS LOCAL-BASE    addresses as dotted quads
 *   universe KIND COUNT            table4 table6 block4 block6
 *   deny ADDRESS LENGTH            the reflector has a policy that stops these prefixes
 *   sessions COUNT
 *   announce SESSION FIRST COUNT VARIANT [backup]    queue; `backup` loses the selection against what others announced
 *   padding COUNT                  large communities that are added to what is announced from now on, so that attributes get longer
 *   withdraw SESSION FIRST COUNT   queue
 *   connect FIRST COUNT TIMEOUT-MS [send]            until all are established; `send`: what is queued goes out as soon as a session is
 *   go FIRST COUNT TIMEOUT-MS QUIET-MS [connect]     send what is queued, until the receivers have exactly what they should have and
 *                                                    nothing bad came for QUIET-MS more; `connect`: the clock started with the last connect
 *   churn FIRST COUNT EVENTS BLOCK TIMEOUT-MS        events of BLOCK prefixes each by one session after the other, each until all receivers have it
 *   stall SESSION 0|1              1: read nothing more
 *   close FIRST COUNT              no NOTIFICATION, as if the peer died
 *   wait MS                        answer keepalives
 */
#include "stream.h"
#include "universe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static double clock_started, cpu_started;
static u32 variants = 1000, padding = 0;

static u32 number(char **words, int at) { return words[at] == NULL ? 0 : (u32)strtoul(words[at], NULL, 10); }

static u32 address(const char *text) {
	struct in_addr parsed;
	if (text == NULL || inet_pton(AF_INET, text, &parsed) != 1) die("not an IPv4 address: %s", text == NULL ? "(nothing)" : text);
	return ntohl(parsed.s_addr);
}

static void print_text(const char *name, const char *text) {
	printf(",\"%s\":\"", name);
	for (; *text != 0; text++) {
		if (*text == '"' || *text == '\\') putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void report(double seconds, bool done) {
	u64 missing = 0, wrong = 0;
	for (u32 i = 0; i < session_count; i++) {
		if (!sessions[i].receiver || sessions[i].state != ESTABLISHED) continue;
		u32 needed = routes_needed(i);
		missing += needed > sessions[i].view.good_count ? needed - sessions[i].view.good_count : 0;
		wrong += sessions[i].view.wrong_count;
	}
	u64 bad = 0;
	for (int i = 1; i < 8; i++) bad += totals.problems[i];
	bool verified = done && totals.pending == 0 && missing == 0 && wrong == 0 && totals.lost == 0;
	printf("{\"seconds\":%.6f,\"done\":%s,\"verified\":%s,\"missing\":%llu,\"wrong\":%llu,\"transient\":%llu,\"echoes\":%llu", seconds, done ? "true" : "false",
		verified ? "true" : "false", (unsigned long long)missing, (unsigned long long)wrong, (unsigned long long)bad, (unsigned long long)totals.echoes);
	printf(",\"established\":%u,\"lost\":%u,\"retries\":%u,\"pending\":%u,\"updates\":%llu,\"announcements\":%llu,\"withdrawals\":%llu,\"bytes\":%llu,\"longestSilence\":%.3f",
		totals.established, totals.lost, totals.retries, totals.pending, (unsigned long long)totals.updates, (unsigned long long)totals.announcements,
		(unsigned long long)totals.withdrawals, (unsigned long long)totals.bytes, totals.longest_silence);
	printf(",\"cpu\":%.6f", cpu_seconds() - cpu_started);
	if (totals.first_problem[0] != 0) print_text("firstProblem", totals.first_problem);
	if (totals.first_loss[0] != 0) print_text("firstLoss", totals.first_loss);
}

static void reset_totals(void) {
	cpu_started = cpu_seconds();
	u32 established = totals.established, lost = totals.lost, pending = totals.pending;
	char loss[sizeof totals.first_loss];
	memcpy(loss, totals.first_loss, sizeof loss);
	memset(&totals, 0, sizeof totals);
	totals.established = established;
	totals.lost = lost;
	totals.pending = pending;
	memcpy(totals.first_loss, loss, sizeof loss);
}

static void choose_receivers(u32 first, u32 count) {
	totals.pending = 0;
	for (u32 i = 0; i < session_count; i++) {
		struct session *session = &sessions[i];
		session->receiver = i - first < count && !session->stalled;
		session->complete = false;
		if (session->receiver) totals.pending++;
	}
	for (u32 i = 0; i < session_count; i++) session_judge(&sessions[i]);
}

static void run_for(double seconds) {
	for (double end = now_seconds() + seconds, now; (now = now_seconds()) < end;) sessions_step((int)((end - now) * 1000) + 1);
}

static bool run_until_complete(double deadline) {
	while (totals.pending > 0 && totals.lost == 0 && now_seconds() < deadline) sessions_step(20);
	return totals.pending == 0;
}

static void release_all(void) {
	for (u32 i = 0; i < session_count; i++) {
		if (sessions[i].out.length == 0) continue;
		sessions[i].released = true;
		session_flush(&sessions[i]);
	}
}

static void go(char **words) {
	bool from_connect = words[5] != NULL;
	double completed = totals.complete_at;
	if (!from_connect) reset_totals();
	choose_receivers(number(words, 1), number(words, 2));
	/* What is complete already was complete when its last byte came. */
	if (from_connect && totals.pending == 0) totals.complete_at = completed;
	double start = from_connect ? clock_started : now_seconds();
	release_all();
	bool done = run_until_complete(start + number(words, 3) / 1000.0);
	if (done && totals.complete_at == 0) totals.complete_at = start;
	if (!from_connect && totals.first_sent_at != 0) start = totals.first_sent_at;
	double end = done ? totals.complete_at : now_seconds();
	if (done) run_for(number(words, 4) / 1000.0);
	report(end - start, done);
	puts("}");
}

static void connect_sessions(char **words) {
	u32 first = number(words, 1), count = number(words, 2);
	bool send = words[4] != NULL;
	reset_totals();
	clock_started = now_seconds();
	for (u32 i = first; i < first + count; i++) {
		sessions[i].released = send;
		sessions[i].receiver = true;
		session_connect(&sessions[i]);
	}
	choose_receivers(first, count);
	double deadline = clock_started + number(words, 3) / 1000.0;
	u32 up = 0;
	while (up < count && now_seconds() < deadline && totals.lost == 0) {
		sessions_step(20);
		up = 0;
		for (u32 i = first; i < first + count; i++) up += sessions[i].state == ESTABLISHED;
	}
	report(now_seconds() - clock_started, up == count);
	puts("}");
}

static int by_size(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b; }

/* Three changes in turn: other attributes, withdrawn, announced again; the same share of every session's prefixes in turn. */
static void churn(char **words) {
	u32 first = number(words, 1), count = number(words, 2), events = number(words, 3), block = number(words, 4);
	u32 share = universe.count / count, done = 0;
	double timeout = number(words, 5) / 1000.0, *latencies = allocate(sizeof(double) * (events + 1)), sum = 0;
	reset_totals();
	choose_receivers(first, count);
	for (; done < events && totals.lost == 0; done++) {
		u32 turn = done / 3 % count, position = turn * share + (done / 3 / count * block) % (share >= block ? share - block + 1 : 1);
		struct session *session = &sessions[first + turn];
		struct announcement what = { .variant = done % 3 == 0 ? ++variants : 0 };
		if (done % 3 == 1) stream_withdraw(session, position, block);
		else stream_announce(session, position, block, what);
		choose_receivers(first, count);
		double start = now_seconds();
		session_flush(session);
		if (!run_until_complete(start + timeout)) break;
		latencies[done] = totals.complete_at - start;
		sum += latencies[done];
		run_for(0.005);
		if (totals.pending > 0) break;
	}
	qsort(latencies, done, sizeof(double), by_size);
	report(sum, done == events);
	if (done > 0) printf(",\"events\":%u,\"p50\":%.6f,\"p99\":%.6f,\"max\":%.6f", done, latencies[done / 2], latencies[done * 99 / 100], latencies[done - 1]);
	puts("}");
	free(latencies);
}

static void obey(char **words) {
	const char *verb = words[0];
	u32 first = number(words, 1), count = number(words, 2);
	if (strcmp(verb, "target") == 0) {
		settings = (struct settings){ .target_address = address(words[1]), .target_port = (u16)number(words, 2), .as_number = number(words, 3),
			.cluster_id = address(words[4]), .hold_seconds = (u16)number(words, 5), .local_base = address(words[6]) };
	} else if (strcmp(verb, "universe") == 0) {
		universe_make(words[1], count);
		routes_make();
	} else if (strcmp(verb, "deny") == 0) routes_deny(address(words[1]), count);
	else if (strcmp(verb, "sessions") == 0) sessions_make(first);
	else if (strcmp(verb, "announce") == 0)
		stream_announce(&sessions[first], count, number(words, 3), (struct announcement){ .variant = number(words, 4), .backup = words[5] != NULL, .padding = padding });
	else if (strcmp(verb, "padding") == 0) padding = first;
	else if (strcmp(verb, "withdraw") == 0) stream_withdraw(&sessions[first], count, number(words, 3));
	else if (strcmp(verb, "stall") == 0) session_stall(&sessions[first], count != 0);
	else if (strcmp(verb, "close") == 0) {
		for (u32 i = first; i < first + count; i++) session_close(&sessions[i]);
		routes_drop_sessions(first, count);
	} else if (strcmp(verb, "connect") == 0) { connect_sessions(words); return; }
	else if (strcmp(verb, "go") == 0) { go(words); return; }
	else if (strcmp(verb, "churn") == 0) { churn(words); return; }
	else if (strcmp(verb, "wait") == 0) {
		reset_totals();
		run_for(first / 1000.0);
		report(first / 1000.0, true);
		puts("}");
		return;
	} else die("no such command: %s", verb);
	puts("{\"done\":true}");
}

int main(void) {
	static char line[1 << 12];
	size_t length = 0;
	die_with_parent();
	setvbuf(stdout, NULL, _IOLBF, 0);
	fcntl(0, F_SETFL, O_NONBLOCK);
	for (;;) {
		ssize_t got = read(0, line + length, sizeof line - length - 1);
		if (got == 0) return 0;
		if (got < 0) {
			/* Between commands the sessions live on. */
			struct pollfd input = { .fd = 0, .events = POLLIN };
			if (poll(&input, 1, session_count > 0 ? 0 : 1000) == 0 && session_count > 0) sessions_step(5);
			continue;
		}
		length += (size_t)got;
		line[length] = 0;
		for (char *end; (end = strchr(line, '\n')) != NULL;) {
			char *words[10] = {0};
			int used = 0;
			*end = 0;
			for (char *word = strtok(line, " "); word != NULL && used < 9; word = strtok(NULL, " ")) words[used++] = word;
			if (used > 0) obey(words);
			length -= (size_t)(end + 1 - line);
			memmove(line, end + 1, length + 1);
		}
	}
}
