import test from 'ava';
import type { Capability, OpenMessage } from 'bgp-packet';

import { checkOpen, type LocalSide, ownOpen } from '../../../src/bgp/fsm/open-check.ts';
import { type Negotiated, type PeerOptions, peerOptions } from '../../../src/bgp/index.ts';
import { openMessage, plainCapabilities } from '../../support/raw-peer.ts';

const endpoints = {
	peerAddress: Uint8Array.of(10, 0, 0, 2),
	localAddress: Uint8Array.of(10, 0, 0, 1),
	interfaceName: undefined,
	interfaceAddresses: {},
};

function side(given: Partial<PeerOptions> & { readonly ownAs?: number } = {}): LocalSide {
	const { ownAs = 65001, ...options } = given;
	return {
		asNumber: ownAs,
		routerId: 0x0a000001,
		options: peerOptions({ address: '10.0.0.2', asNumber: 65002, ...options }),
		restart: { restarting: false, forwardingPreserved: false },
		capabilities: true,
	};
}

const judge = (received: OpenMessage, local: LocalSide) => checkOpen(received, ownOpen(local), local, endpoints);

function negotiate(received: OpenMessage, local: LocalSide): Negotiated {
	const verdict = judge(received, local);
	if (verdict.type === 'rejected') throw verdict.error;
	return verdict.negotiated;
}

const peer = (given: Partial<OpenMessage> = {}): OpenMessage =>
	openMessage({ asNumber: 65002, routerId: 0x0a000002, ...given });
const withCapabilities = (...capabilities: Capability[]): OpenMessage =>
	peer({ capabilities: [...plainCapabilities(65002), ...capabilities] });
const fourOctets = (asNumber: number): Capability => ({ type: 'four-octet-as', asNumber });
const family = (afi: number, safi = 1): Capability => ({ type: 'multiprotocol', afi, safi });

const rejections: readonly {
	title: string;
	open: OpenMessage;
	local?: LocalSide;
	subcode: number;
	data?: readonly number[];
}[] = [
	{
		title: '[C15] an AS that differs from the configured one',
		open: peer({ asNumber: 65003, capabilities: plainCapabilities(65003) }),
		subcode: 2,
	},
	{
		title: '[C15] the four-octet number counts, not My AS',
		open: peer({ capabilities: [family(1), fourOctets(65003)] }),
		subcode: 2,
	},
	{
		title: '[C19] the own identifier inside the AS',
		open: openMessage({ asNumber: 65001, routerId: 0x0a000001 }),
		local: side({ asNumber: 65001 }),
		subcode: 3,
	},
	{
		title: '[C26][C33] no common family',
		open: peer({ capabilities: [family(25, 65), fourOctets(65002)] }),
		subcode: 7,
		data: [1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1],
	},
	{
		title: '[C44] a role that does not match',
		open: withCapabilities({ type: 'role', role: 'provider' }),
		local: side({ role: 'provider' }),
		subcode: 11,
	},
	{
		title: '[C44] an unassigned role',
		open: withCapabilities({ type: 'role', role: 77 }),
		local: side({ role: 'peer' }),
		subcode: 11,
	},
	{
		title: '[C45] several different roles',
		open: withCapabilities({ type: 'role', role: 'customer' }, { type: 'role', role: 'peer' }),
		local: side({ role: 'provider' }),
		subcode: 11,
	},
	{
		title: '[C46] no role in strict mode',
		open: peer(),
		local: side({ role: 'provider', strictRole: true }),
		subcode: 11,
	},
];

for (const { title, open, local = side(), subcode, data = [] } of rejections) {
	test(`${title} is refused with 2/${subcode}`, (t) => {
		const verdict = judge(open, local);
		if (verdict.type === 'accepted') return t.fail('was accepted');
		const { code, subcode: actual, data: actualData } = verdict.error;
		return t.deepEqual({ code, subcode: actual, data: [...actualData] }, { code: 2, subcode, data: [...data] });
	});
}

const restart = (given: Partial<Extract<Capability, { type: 'graceful-restart' }>> = {}): Capability => ({
	type: 'graceful-restart',
	restarting: false,
	notification: false,
	restartSeconds: 100,
	families: [{ afi: 1, safi: 1, forwarding: false }],
	...given,
});
const pathsOf = (mode: 'receive' | 'send' | 'both'): Capability => ({
	type: 'add-path',
	families: [{ afi: 1, safi: 1, mode }],
});
const ipv4Of = ({ families }: Negotiated) => families.find(({ family: name }) => name === 'ipv4');

/** The outcome as one value. */
const outcomes: readonly {
	title: string;
	open: OpenMessage;
	local?: LocalSide;
	read: (negotiated: Negotiated) => unknown;
	is: unknown;
}[] = [
	{
		title: '[C19] equal identifiers are allowed outside the AS',
		open: peer({ routerId: 0x0a000001 }),
		read: ({ kind }) => kind,
		is: 'external',
	},
	{
		title: '[C18] an identifier of class E is valid',
		open: peer({ routerId: 0xf0000001 }),
		read: ({ peerRouterId }) => peerRouterId,
		is: 0xf0000001,
	},
	{
		title: '[C21] the smaller hold time counts: theirs',
		open: peer({ holdTimeSeconds: 30 }),
		read: ({ holdTimeSeconds }) => holdTimeSeconds,
		is: 30,
	},
	{
		title: '[C21] the smaller hold time counts: ours',
		open: peer({ holdTimeSeconds: 180 }),
		local: side({ holdTimeSeconds: 9 }),
		read: ({ holdTimeSeconds }) => holdTimeSeconds,
		is: 9,
	},
	{
		title: '[C21] hold time 0 is the smallest',
		open: peer({ holdTimeSeconds: 0 }),
		read: ({ holdTimeSeconds }) => holdTimeSeconds,
		is: 0,
	},
	{
		title: '[C25] unknown capabilities are ignored',
		open: withCapabilities({ type: 'unknown', code: 200, value: Uint8Array.of(1) }),
		read: ({ kind }) => kind,
		is: 'external',
	},
	{
		title: '[C33] a family counts if both name it',
		open: peer({ capabilities: [family(2), fourOctets(65002)] }),
		read: ({ families }) => families.map(({ family: name }) => name),
		is: ['ipv6'],
	},
	{
		title: '[C33] without multiprotocol capabilities the family is IPv4',
		open: peer({ capabilities: [fourOctets(65002)] }),
		read: ({ families }) => families.map(({ family: name }) => name),
		is: ['ipv4'],
	},
	{ title: '[C34] four octets if both support them', open: peer(), read: ({ fourOctetAs }) => fourOctetAs, is: true },
	{
		title: '[C34] two octets if the peer does not support four',
		open: peer({ capabilities: [family(1)] }),
		read: ({ fourOctetAs }) => fourOctetAs,
		is: false,
	},
	{
		title: '[C34] two octets if we do not support four',
		open: peer(),
		local: side({ fourOctetAs: false }),
		read: ({ fourOctetAs }) => fourOctetAs,
		is: false,
	},
	{
		title: '[C35] a restart capability without families keeps no routes',
		open: withCapabilities(restart({ families: [] })),
		read: (n) => ipv4Of(n)?.gracefulRestart,
		is: undefined,
	},
	{
		title: '[C36] of two restart capabilities the last counts',
		open: withCapabilities(restart(), restart({ restartSeconds: 7 })),
		read: (n) => n.peerRestartSeconds,
		is: 7,
	},
	{
		title: '[C37] the N bit counts if both set it',
		open: withCapabilities(restart({ notification: true })),
		read: (n) => n.notificationRestart,
		is: true,
	},
	{
		title: '[C37] the N bit of one side is not enough',
		open: withCapabilities(restart()),
		read: (n) => n.notificationRestart,
		is: false,
	},
	{
		title: '[C38] long-lived restart is ignored without capability 64',
		open: withCapabilities({
			type: 'long-lived-graceful-restart',
			families: [{ afi: 1, safi: 1, forwarding: false, staleSeconds: 60 }],
		}),
		local: side({ longLivedStaleSeconds: 100 }),
		read: (n) => ipv4Of(n)?.longLivedStaleSeconds,
		is: 0,
	},
	{
		title: "[C38] long-lived restart has the peer's time",
		open: withCapabilities(restart(), {
			type: 'long-lived-graceful-restart',
			families: [{ afi: 1, safi: 1, forwarding: false, staleSeconds: 60 }],
		}),
		local: side({ longLivedStaleSeconds: 100 }),
		read: (n) => ipv4Of(n)?.longLivedStaleSeconds,
		is: 60,
	},
	{
		title: '[C40] the peer receives, we send',
		open: withCapabilities(pathsOf('receive')),
		local: side({ addPath: { send: true, receive: true } }),
		read: (n) => [ipv4Of(n)?.addPathSend, ipv4Of(n)?.addPathReceive],
		is: [true, false],
	},
	{
		title: '[C40] the peer sends, we only send',
		open: withCapabilities(pathsOf('send')),
		local: side({ addPath: { send: true, receive: false } }),
		read: (n) => [ipv4Of(n)?.addPathSend, ipv4Of(n)?.addPathReceive],
		is: [false, false],
	},
	{
		title: '[C200] of a family named twice the last counts',
		open: withCapabilities({
			type: 'add-path',
			families: [
				{ afi: 1, safi: 1, mode: 'receive' },
				{ afi: 1, safi: 1, mode: 'send' },
			],
		}),
		local: side({ addPath: { send: true, receive: true } }),
		read: (n) => [ipv4Of(n)?.addPathSend, ipv4Of(n)?.addPathReceive],
		is: [false, true],
	},
	{
		title: '[C41] IPv4 over IPv6 if both support it',
		open: withCapabilities({ type: 'extended-next-hop', families: [{ afi: 1, safi: 1, nextHopAfi: 2 }] }),
		local: side({ extendedNextHop: true }),
		read: (n) => ipv4Of(n)?.extendedNextHop,
		is: true,
	},
	{
		title: '[C41] other combinations are ignored',
		open: withCapabilities({
			type: 'extended-next-hop',
			families: [
				{ afi: 1, safi: 2, nextHopAfi: 2 },
				{ afi: 2, safi: 1, nextHopAfi: 1 },
			],
		}),
		local: side({ extendedNextHop: true }),
		read: (n) => ipv4Of(n)?.extendedNextHop,
		is: false,
	},
	{
		title: '[C42] refresh if both support it',
		open: peer(),
		read: (n) => [n.routeRefresh, n.enhancedRefresh],
		is: [true, false],
	},
	{
		title: '[C42] enhanced refresh needs its own capability',
		open: withCapabilities({ type: 'enhanced-route-refresh' }),
		read: (n) => n.enhancedRefresh,
		is: true,
	},
	{
		title: '[C10] extended messages to a peer that supports them',
		open: withCapabilities({ type: 'extended-message' }),
		read: (n) => n.extendedMessageSend,
		is: true,
	},
	{ title: '[C10] no extended messages to another peer', open: peer(), read: (n) => n.extendedMessageSend, is: false },
	{
		title: '[C44] roles that match',
		open: withCapabilities({ type: 'role', role: 'customer' }),
		local: side({ role: 'provider' }),
		read: (n) => n.localRole,
		is: 'provider',
	},
	{
		title: '[C45] the same role twice is one',
		open: withCapabilities({ type: 'role', role: 'peer' }, { type: 'role', role: 'peer' }),
		local: side({ role: 'peer' }),
		read: (n) => n.localRole,
		is: 'peer',
	},
	{
		title: '[C46] a missing role is accepted, ours counts',
		open: peer(),
		local: side({ role: 'provider' }),
		read: (n) => n.localRole,
		is: 'provider',
	},
	{
		title: '[C44] inside the AS roles have no effect',
		open: openMessage({ asNumber: 65001, routerId: 5, capabilities: [{ type: 'role', role: 'provider' }] }),
		local: side({ asNumber: 65001, role: 'provider' }),
		read: (n) => n.localRole,
		is: undefined,
	},
];

for (const { title, open, local = side(), read, is } of outcomes) {
	test(title, (t) => t.deepEqual(read(negotiate(open, local)), is));
}

test('[C44] exactly the pairs of RFC 9234 match', (t) => {
	const roles = ['provider', 'route-server', 'route-server-client', 'customer', 'peer'] as const;
	const fitting = roles.flatMap((ours) =>
		roles
			.filter(
				(theirs) => judge(withCapabilities({ type: 'role', role: theirs }), side({ role: ours })).type === 'accepted',
			)
			.map((theirs) => `${ours} ${theirs}`),
	);
	t.deepEqual(fitting, [
		'provider customer',
		'route-server route-server-client',
		'route-server-client route-server',
		'customer provider',
		'peer peer',
	]);
});

test('[C17] AS_TRANS stands for a number of four octets', (t) => {
	const open = ownOpen(side({ ownAs: 4_200_000_001 }));
	t.is(open.asNumber, 23456);
	t.deepEqual(
		open.capabilities.filter(({ type }) => type === 'four-octet-as'),
		[fourOctets(4_200_000_001)],
	);
});

test('[C43] the role is sent outside the AS only', (t) => {
	const says = (local: LocalSide) => ownOpen(local).capabilities.some(({ type }) => type === 'role');
	t.true(says(side({ role: 'peer' })));
	t.false(says(side({ role: 'peer', asNumber: 65001 })));
});

test('a local AS replaces our own', (t) => {
	const local = side({ localAsNumber: 64999 });
	t.is(ownOpen(local).asNumber, 64999);
	t.is(negotiate(peer(), local).localAsNumber, 64999);
});

test('[C202] after a restart the R and F bits are set', (t) => {
	const local = { ...side(), restart: { restarting: true, forwardingPreserved: true } };
	const [capability] = ownOpen(local).capabilities.filter(({ type }) => type === 'graceful-restart');
	t.deepEqual(capability, {
		type: 'graceful-restart',
		restarting: true,
		notification: true,
		restartSeconds: 120,
		families: [
			{ afi: 1, safi: 1, forwarding: true },
			{ afi: 2, safi: 1, forwarding: true },
		],
	});
});

test('[C27] an OPEN without capabilities is possible, and means IPv4 with two octets', (t) => {
	const local = { ...side(), capabilities: false };
	t.deepEqual(ownOpen(local).capabilities, []);
	const negotiated = negotiate(peer(), local);
	t.deepEqual(
		negotiated.families.map(({ family: name }) => name),
		['ipv4'],
	);
	t.false(negotiated.fourOctetAs);
	t.false(negotiated.routeRefresh);
});
