/*
 * Writes routes to the kernel as fast as a program can: batches of 1000 messages without acknowledgements, sorted by next hop, next hop objects from 64
 * next hops on. Prints milliseconds: {"installMs":..,"replaceMs":..,"deleteMs":..,"listMs":..}.
 *   fib-writer ROUTES HOPS INTERFACE
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { batch = 1000, fewest_objects = 64, protocol = 80, metric = 1024, first_object = 0x0b700000 };

static int descriptor;
static unsigned outgoing;
static uint32_t sequence;
static char buffer[batch * 80];
static size_t length;
static int waiting;
static int refused;

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void drain(void)
{
	static char answers[65536];
	for (;;) {
		ssize_t got = recv(descriptor, answers, sizeof answers, MSG_DONTWAIT);
		if (got < 0)
			return;
		int left = (int)got;
		for (struct nlmsghdr *header = (void *)answers; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left))
			if (header->nlmsg_type == NLMSG_ERROR && ((struct nlmsgerr *)NLMSG_DATA(header))->error != 0)
				refused++;
	}
}

static void flush(void)
{
	if (waiting == 0)
		return;
	if (send(descriptor, buffer, length, 0) < 0) {
		perror("send");
		exit(1);
	}
	length = 0;
	waiting = 0;
	drain();
}

static struct nlmsghdr *begin(int type, int flags, size_t body)
{
	struct nlmsghdr *header = (void *)(buffer + length);
	memset(header, 0, NLMSG_LENGTH(body));
	header->nlmsg_len = NLMSG_LENGTH(body);
	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	header->nlmsg_seq = ++sequence;
	return header;
}

static void attribute(struct nlmsghdr *header, int type, uint32_t value)
{
	struct rtattr *at = (void *)((char *)header + header->nlmsg_len);
	at->rta_len = RTA_LENGTH(4);
	at->rta_type = type;
	memcpy(RTA_DATA(at), &value, 4);
	header->nlmsg_len += RTA_LENGTH(4);
}

static void end(struct nlmsghdr *header)
{
	length += header->nlmsg_len;
	if (++waiting == batch)
		flush();
}

static uint32_t gateway(int hop, int hops, int generation)
{
	uint32_t host = 256 + hop + generation * hops;
	return htonl(0x0a000000 | (host & 0xffff));
}

static void route(int verb, int flags, int index, int hop, int hops, int generation)
{
	struct nlmsghdr *header = begin(verb, flags, sizeof(struct rtmsg));
	struct rtmsg *message = NLMSG_DATA(header);
	*message = (struct rtmsg){ .rtm_family = AF_INET, .rtm_dst_len = 30, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = protocol,
		.rtm_scope = verb == RTM_DELROUTE ? RT_SCOPE_NOWHERE : RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST };
	attribute(header, RTA_DST, htonl(0x64000000u | (uint32_t)index << 2));
	attribute(header, RTA_PRIORITY, metric);
	if (hops >= fewest_objects)
		attribute(header, RTA_NH_ID, first_object + hop + generation * hops);
	else {
		attribute(header, RTA_GATEWAY, gateway(hop, hops, generation));
		attribute(header, RTA_OIF, outgoing);
	}
	end(header);
}

static double pass(int verb, int flags, int routes, int hops, int generation)
{
	double start = now();
	if (hops >= fewest_objects && verb == RTM_NEWROUTE) {
		for (int hop = 0; hop < hops; hop++) {
			struct nlmsghdr *header = begin(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct nhmsg));
			((struct nhmsg *)NLMSG_DATA(header))->nh_family = AF_INET;
			((struct nhmsg *)NLMSG_DATA(header))->nh_protocol = protocol;
			attribute(header, NHA_ID, first_object + hop + generation * hops);
			attribute(header, NHA_OIF, outgoing);
			attribute(header, NHA_GATEWAY, gateway(hop, hops, generation));
			end(header);
		}
	}
	for (int hop = 0; hop < hops; hop++)
		for (int index = hop; index < routes; index += hops)
			route(verb, flags, index, hop, hops, generation);
	flush();
	return now() - start;
}

static double list(int routes)
{
	static char answers[1 << 18];
	double start = now();
	struct nlmsghdr *header = begin(RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg));
	((struct rtmsg *)NLMSG_DATA(header))->rtm_family = AF_INET;
	send(descriptor, header, header->nlmsg_len, 0);
	int count = 0;
	for (int done = 0; !done;) {
		int left = (int)recv(descriptor, answers, sizeof answers, 0);
		if (left < 0)
			break;
		for (struct nlmsghdr *each = (void *)answers; NLMSG_OK(each, left); each = NLMSG_NEXT(each, left)) {
			if (each->nlmsg_type == NLMSG_DONE)
				done = 1;
			else if (((struct rtmsg *)NLMSG_DATA(each))->rtm_protocol == protocol)
				count++;
		}
	}
	if (count != routes) {
		fprintf(stderr, "%d of %d routes are there\n", count, routes);
		exit(1);
	}
	return now() - start;
}

int main(int count, char **words)
{
	if (count != 4)
		return 2;
	int routes = atoi(words[1]), hops = atoi(words[2]);
	outgoing = if_nametoindex(words[3]);
	descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int bytes = 8 << 20;
	setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
	setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	if (descriptor < 0 || bind(descriptor, (void *)&address, sizeof address) < 0) {
		perror("netlink");
		return 1;
	}
	double install = pass(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, routes, hops, 0);
	double read = list(routes);
	double replace = pass(RTM_NEWROUTE, NLM_F_REPLACE, routes, hops, 1);
	double remove = pass(RTM_DELROUTE, 0, routes, hops, 1);
	if (refused > 0) {
		fprintf(stderr, "%d refused\n", refused);
		return 1;
	}
	printf("{\"installMs\":%.3f,\"replaceMs\":%.3f,\"deleteMs\":%.3f,\"listMs\":%.3f}\n", install, replace, remove, read);
	return 0;
}
