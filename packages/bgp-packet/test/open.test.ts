import test from 'ava';

import {
	type Capability,
	decodeMessage,
	encodeMessage,
	lastCapability,
	type OpenMessage,
	packetContext,
} from '../src/index.ts';
import { bytes, frame, hex, verdict } from './support.ts';

/** An OPEN of AS 65000, 90 s, 10.0.0.1, with optional parameters in hex behind their length. */
const open = (
	parameters: string,
	{ version = '04', asNumber = 'fde8', holdTime = '005a', routerId = '0a000001' } = {},
) => {
	const length = bytes(parameters).length.toString(16).padStart(2, '0');
	return frame(1, `${version} ${asNumber} ${holdTime} ${routerId} ${length} ${parameters}`);
};

/** One parameter with capabilities in hex. */
const parameter = (capabilities: string) =>
	`02 ${bytes(capabilities).length.toString(16).padStart(2, '0')} ${capabilities}`;

function capabilitiesOf(wire: Uint8Array): readonly Capability[] {
	const message = decodeMessage(wire, packetContext());
	return message.type === 'open' ? message.capabilities : [];
}

const refused: readonly { title: string; wire: Uint8Array; error: string; data?: string }[] = [
	{ title: '[C14] version 3', wire: open('', { version: '03' }), error: '2/1', data: '0004' },
	{ title: '[C14] version 5', wire: open('', { version: '05' }), error: '2/1', data: '0004' },
	{ title: '[C16] AS 0', wire: open('', { asNumber: '0000' }), error: '2/2' },
	{ title: '[C16] AS 0 in the four-octet-as capability', wire: open(parameter('41 04 00000000')), error: '2/2' },
	{ title: '[C17] AS_TRANS without the four-octet-as capability', wire: open('', { asNumber: '5ba0' }), error: '2/2' },
	{ title: '[C18] identifier 0', wire: open('', { routerId: '00000000' }), error: '2/3' },
	{ title: '[C20] hold time 1', wire: open('', { holdTime: '0001' }), error: '2/6' },
	{ title: '[C20] hold time 2', wire: open('', { holdTime: '0002' }), error: '2/6' },
	{ title: '[C22] optional parameter 1', wire: open('01 01 00'), error: '2/4' },
	{ title: '[C22] optional parameter 7', wire: open('07 00'), error: '2/4' },
	{
		title: '[C23] parameters shorter than their length',
		wire: frame(1, '04 fde8 005a 0a000001 08 02 02 0200'),
		error: '2/0',
	},
	{
		title: '[C23] parameters longer than their length',
		wire: frame(1, '04 fde8 005a 0a000001 02 02 02 0200'),
		error: '2/0',
	},
	{ title: '[C23] a parameter that runs over', wire: open('02 06 0200'), error: '2/0' },
	{ title: '[C23] a parameter cut off behind its type', wire: open('02'), error: '2/0' },
	{ title: '[C28] a capability that runs over its parameter', wire: open('02 04 01 04 0001'), error: '2/0' },
	{ title: '[C28] a capability cut off behind its code', wire: open('02 01 02'), error: '2/0' },
	{ title: '[C22] multiprotocol of 3 bytes', wire: open(parameter('01 03 000100')), error: '2/0' },
	{ title: '[C22] multiprotocol of 5 bytes', wire: open(parameter('01 05 0001000100')), error: '2/0' },
	{ title: '[C10] extended message with a value', wire: open(parameter('06 01 00')), error: '2/0' },
	{ title: '[C42] route refresh with a value', wire: open(parameter('02 01 00')), error: '2/0' },
	{ title: '[C42] enhanced route refresh with a value', wire: open(parameter('46 01 00')), error: '2/0' },
	{ title: '[C34] four-octet-as of 2 bytes', wire: open(parameter('41 02 fde8')), error: '2/0' },
	{ title: '[C35] graceful restart of 1 byte', wire: open(parameter('40 01 00')), error: '2/0' },
	{ title: '[C35] graceful restart with half a family', wire: open(parameter('40 04 0078 0001')), error: '2/0' },
	{
		title: '[C38] long-lived graceful restart with half a family',
		wire: open(parameter('47 05 0001 01 80 00')),
		error: '2/0',
	},
	{ title: '[C39] add-path of 3 bytes', wire: open(parameter('45 03 000101')), error: '2/0' },
	{ title: '[C41] extended next hop of 5 bytes', wire: open(parameter('05 05 0001000100')), error: '2/0' },
	{ title: '[C43] role of 2 bytes', wire: open(parameter('09 02 0000')), error: '2/0' },
	{
		title: '[C29] the extended form behind a length of 0',
		wire: frame(1, '04 fde8 005a 0a000001 00 ff 0000'),
		error: '2/0',
	},
	{
		title: '[C29] an extended length that runs over',
		wire: frame(1, '04 fde8 005a 0a000001 ff ff 0010 02 0002 0200'),
		error: '2/0',
	},
];
for (const { title, wire, error, data = '' } of refused) {
	test(`${title} is ${error}`, (t) => t.deepEqual(verdict(wire), { error, data }));
}

const accepted: readonly { title: string; wire: Uint8Array }[] = [
	{ title: '[C18] identifier 255.255.255.255', wire: open('', { routerId: 'ffffffff' }) },
	{ title: '[C18] identifier 224.0.0.1', wire: open('', { routerId: 'e0000001' }) },
	{ title: '[C20] hold time 0', wire: open('', { holdTime: '0000' }) },
	{ title: '[C20] hold time 3', wire: open('', { holdTime: '0003' }) },
	{
		title: '[C17] AS_TRANS beside the four-octet-as capability',
		wire: open(parameter('41 04 00011170'), { asNumber: '5ba0' }),
	},
	{ title: '[C24] a parameter without capabilities', wire: open('02 00') },
];
for (const { title, wire } of accepted) test(`${title} is accepted`, (t) => t.false('error' in verdict(wire)));

const values: readonly { title: string; wire: string; capability: Capability; encodes?: string }[] = [
	{ title: '[C32] multiprotocol', wire: '01 04 0002 00 01', capability: { type: 'multiprotocol', afi: 2, safi: 1 } },
	{
		title: '[C32] multiprotocol with a reserved octet',
		wire: '01 04 0002 ff 01',
		capability: { type: 'multiprotocol', afi: 2, safi: 1 },
		encodes: '01 04 0002 00 01',
	},
	{ title: '[C42] route refresh', wire: '02 00', capability: { type: 'route-refresh' } },
	{ title: '[C42] enhanced route refresh', wire: '46 00', capability: { type: 'enhanced-route-refresh' } },
	{ title: '[C10] extended message', wire: '06 00', capability: { type: 'extended-message' } },
	{ title: '[C34] four-octet-as', wire: '41 04 00011170', capability: { type: 'four-octet-as', asNumber: 70000 } },
	{
		title: '[C35] graceful restart',
		wire: '40 0a 8078 0001 01 80 0002 01 00',
		capability: {
			type: 'graceful-restart',
			restarting: true,
			notification: false,
			restartSeconds: 120,
			families: [
				{ afi: 1, safi: 1, forwarding: true },
				{ afi: 2, safi: 1, forwarding: false },
			],
		},
	},
	{
		title: '[C35] graceful restart without families',
		wire: '40 02 0fff',
		capability: {
			type: 'graceful-restart',
			restarting: false,
			notification: false,
			restartSeconds: 4095,
			families: [],
		},
	},
	{
		title: '[C37] the N bit of graceful restart',
		wire: '40 02 4000',
		capability: { type: 'graceful-restart', restarting: false, notification: true, restartSeconds: 0, families: [] },
	},
	{
		title: '[C38] long-lived graceful restart',
		wire: '47 07 0001 01 80 0e1000',
		capability: {
			type: 'long-lived-graceful-restart',
			families: [{ afi: 1, safi: 1, forwarding: true, staleSeconds: 921600 }],
		},
	},
	{
		title: '[C39] add-path',
		wire: '45 0c 0001 01 01 0002 01 02 0001 80 03',
		capability: {
			type: 'add-path',
			families: [
				{ afi: 1, safi: 1, mode: 'receive' },
				{ afi: 2, safi: 1, mode: 'send' },
				{ afi: 1, safi: 128, mode: 'both' },
			],
		},
	},
	{
		title: '[C39] add-path with modes 0 and 4, which are ignored',
		wire: '45 0c 0001 01 00 0002 01 04 0001 01 03',
		capability: { type: 'add-path', families: [{ afi: 1, safi: 1, mode: 'both' }] },
		encodes: '45 04 0001 01 03',
	},
	{
		title: '[C41] extended next hop',
		wire: '05 0c 0001 0001 0002 fffe 0001 0002',
		capability: {
			type: 'extended-next-hop',
			families: [
				{ afi: 1, safi: 1, nextHopAfi: 2 },
				{ afi: 0xfffe, safi: 1, nextHopAfi: 2 },
			],
		},
	},
	...(['provider', 'route-server', 'route-server-client', 'customer', 'peer'] as const).map((role, value) => ({
		title: `[C43] role ${role}`,
		wire: `09 01 0${value}`,
		capability: { type: 'role' as const, role },
	})),
	{ title: '[C44] a role that is not assigned', wire: '09 01 05', capability: { type: 'role', role: 5 } },
	{
		title: '[C25] an unknown capability',
		wire: 'c8 03 010203',
		capability: { type: 'unknown', code: 200, value: bytes('010203') },
	},
	{
		title: '[C25] the host name of a speaker',
		wire: '49 04 02 7231 00',
		capability: { type: 'unknown', code: 73, value: bytes('02723100') },
	},
];
for (const { title, wire, capability, encodes = wire } of values) {
	test(`decodes ${title}`, (t) => t.deepEqual(capabilitiesOf(open(parameter(wire))), [capability]));
	test(`encodes ${title}`, (t) => {
		const message: OpenMessage = {
			type: 'open',
			version: 4,
			asNumber: 65000,
			holdTimeSeconds: 90,
			routerId: 0x0a000001,
			capabilities: [capability],
		};
		t.is(hex(encodeMessage(message, packetContext())), hex(open(parameter(encodes))));
	});
}

test('[C24] capabilities are taken from any number of parameters, repeated ones too', (t) => {
	const wire = open(
		`${parameter('01 04 0001 00 01 02 00')} ${parameter('02 00')} 02 00 ${parameter('01 04 0001 00 01')}`,
	);
	t.deepEqual(
		capabilitiesOf(wire).map(({ type }) => type),
		['multiprotocol', 'route-refresh', 'route-refresh', 'multiprotocol'],
	);
});

test('[C36] [C200] of repeated capabilities the last one counts', (t) => {
	const capabilities = capabilitiesOf(open(parameter('40 02 0001 40 02 0002 45 04 0001 01 01 45 04 0001 01 02')));
	t.is(lastCapability(capabilities, 'graceful-restart')?.restartSeconds, 2);
	t.is(lastCapability(capabilities, 'add-path')?.families[0]?.mode, 'send');
	t.is(lastCapability(capabilities, 'role'), undefined);
});

test('[C45] each of several roles is surfaced', (t) => {
	t.deepEqual(capabilitiesOf(open(parameter('09 01 00 09 01 04'))), [
		{ type: 'role', role: 'provider' },
		{ type: 'role', role: 'peer' },
	]);
});

test('[C29] [C31] the extended form is read, short lists and any value of the old length included', (t) => {
	for (const old of ['ff', '01', '08']) {
		const wire = frame(1, `04 fde8 005a 0a000001 ${old} ff 000a 02 0002 0200 02 0002 4600`);
		t.deepEqual(
			capabilitiesOf(wire),
			[{ type: 'route-refresh' }, { type: 'enhanced-route-refresh' }],
			`old length ${old}`,
		);
	}
});

test('[C30] the extended form is sent only where 255 octets do not hold the parameters', (t) => {
	const message = (valueBytes: number): OpenMessage => ({
		type: 'open',
		version: 4,
		asNumber: 65000,
		holdTimeSeconds: 90,
		routerId: 0x0a000001,
		// Each takes two bytes more.
		capabilities: [
			{ type: 'unknown', code: 200, value: new Uint8Array(100) },
			{ type: 'unknown', code: 201, value: new Uint8Array(valueBytes) },
		],
	});
	const short = encodeMessage(message(149), packetContext());
	t.is(hex(short.subarray(28, 31)), 'ff02fd');
	const long = encodeMessage(message(150), packetContext());
	t.is(hex(long.subarray(28, 35)), `ff ff 0101 02 00fe`.replaceAll(' ', ''));
	for (const [wire, length] of [
		[short, 149],
		[long, 150],
	] as const)
		t.deepEqual(decodeMessage(wire, packetContext()), message(length));
});
