import test from 'ava';
import { z } from 'zod';
import {
	changedOptions,
	peerDefaults,
	peerOptions,
	type RibPeerOptions,
	readPeerOptions,
} from '../../../src/bgp/index.ts';
import { peerOptionTable } from '../../../src/bgp/model/peer-option-table.ts';
import { importKey, optionChanges, sessionShape } from '../../../src/bgp/model/peer-options.ts';

const context = { ebgpRequiresPolicy: true, policies: () => [], md5Key: (file: string) => `key of ${file}` };

test('every further option is read from a key of the table', (t) => {
	const missing = Object.entries(peerOptionTable).filter(
		([, { of }]) => of !== undefined && !Object.hasOwn(sessionShape, of),
	);
	t.deepEqual(missing, []);
});

test('the defaults come from the schemas, nested ones too', (t) => {
	t.like(peerDefaults, {
		port: 179,
		holdTimeSeconds: 90,
		families: ['ipv4', 'ipv6'],
		md5Key: undefined,
		gracefulRestart: { restartSeconds: 120, notification: true },
		staleSeconds: 360,
		longLivedStaleSeconds: 0,
		addPath: { receive: false, send: false },
		addPathLimit: 0,
		maxPrefix: undefined,
		maxPrefixRestartSeconds: undefined,
		nextHopSelf: {},
		ebgpRequiresPolicy: true,
		connectTimeoutSeconds: 10,
	});
	t.is(Object.keys(peerDefaults).length, Object.keys(peerOptionTable).length - 3);
});

test('one key of the file gives several options, and a file name the key inside', (t) => {
	const options = readPeerOptions(
		z.strictObject(sessionShape).parse({
			passwordFile: '/etc/bgpmesh/tor',
			clusterId: '0.0.0.7',
			maxPrefix: { limit: 10, warnPercent: 75, action: 'warn', restartSeconds: 300 },
			gracefulRestart: { enabled: false, restartSeconds: 120, staleSeconds: 7, longLivedStaleSeconds: 9 },
		}),
		context,
	);
	t.like(options, {
		md5Key: 'key of /etc/bgpmesh/tor',
		clusterId: 7,
		maxPrefix: { limit: 10, warnPercent: 75, action: 'warn' },
		maxPrefixRestartSeconds: 300,
		gracefulRestart: undefined,
		staleSeconds: 7,
		longLivedStaleSeconds: 9,
	});
});

test('routes are imported again after a change of an option of import, and of no other one', (t) => {
	const before: RibPeerOptions = peerOptions({ address: '10.0.0.2', asNumber: 65002 });
	t.not(importKey({ ...before, allowOwnAs: 1 }), importKey(before));
	t.not(importKey({ ...before, importPolicies: [] }), importKey(before));
	t.is(importKey({ ...before, removePrivateAs: true, exportPolicies: [] }), importKey(before));
});

test('the output has the options that differ from their defaults, and no secret', (t) => {
	const options = peerOptions({
		address: '10.0.0.2',
		asNumber: 65002,
		description: 'shown elsewhere',
		md5Key: 'a secret',
		allowOwnAs: 2,
		importPolicies: [{ name: 'from-tor', terms: [], otherwise: 'accept' }],
	});
	t.deepEqual(changedOptions(options), { md5Key: true, importPolicies: ['from-tor'], allowOwnAs: 2 });
});

test('an option of import is an option of the RIB', (t) => {
	t.deepEqual(
		optionChanges.filter(([, { imports, effect }]) => imports && effect !== 'routes'),
		[],
	);
});
