import test from 'ava';
import { parseConfig } from '../../src/config/index.ts';
import type { NodeState } from '../../src/daemon/node-state.ts';
import { directReturnOf, directStateOf } from '../../src/daemon/services/direct-state.ts';
import { QuietWatch } from '../../src/daemon/services/quiet.ts';
import type { JsonObject } from '../../src/json/index.ts';
import { toFelixNetwork, toNodeFacts, toResource } from '../../src/kubernetes/index.ts';
import { macText } from '../../src/vxlan/index.ts';
import { FakeClock } from '../fakes/clock.ts';

const felix = (spec: JsonObject) => toResource({ metadata: { name: 'default' }, spec });
const node = (name: string, annotations: Readonly<Record<string, string>>) =>
	toNodeFacts(toResource({ metadata: { name, annotations } }));
const ipv4 = (address: string) => ({ 'projectcalico.org/IPv4Address': `${address}/24` });
const ipv6 = (address: string) => ({ 'projectcalico.org/IPv6Address': `${address}/64` });
const mac = '02:00:00:00:00:0b';
const takes = { 'bgpmesh.io/direct-server-return': mac };

interface Given {
	readonly services?: string;
	readonly more?: string;
	readonly felix?: JsonObject;
	readonly nodes?: readonly ReturnType<typeof node>[];
}

/** The state of node a. */
function stateOf({ services = '', more = '', felix: spec = {}, nodes = [] }: Given): NodeState {
	const text = `bgp: { asNumber: 64512 }\nservices: { proxy: true${services} }\nnetworkPolicy: { enforce: true }\n${more}`;
	// Only these parts are read.
	const cluster = { nodes, pools: [], felix: toFelixNetwork(felix(spec), undefined) };
	return { node: 'a', config: parseConfig(text, 'x.yaml'), cluster: cluster as unknown as NodeState['cluster'] };
}

test('direct server return is asked for by the file, else by FelixConfiguration', (t) => {
	const option = (given: Given) => directReturnOf(stateOf(given));
	const dsr = { bpfExternalServiceMode: 'DSR' };
	t.is(option({}), undefined);
	t.deepEqual(option({ services: ', directServerReturn: true' }), { optOut: [] });
	t.deepEqual(option({ felix: dsr }), { optOut: [] });
	t.is(option({ felix: { bpfExternalServiceMode: 'Tunnel' } }), undefined);
	t.is(option({ services: ', directServerReturn: false', felix: dsr }), undefined);
	const optOut = { ...dsr, bpfDSROptoutCIDRs: ['203.0.113.0/24', 'nonsense', 7] };
	t.deepEqual(option({ felix: optOut })?.optOut.map(String), ['203.0.113.0/24']);
	t.deepEqual(option({ services: ', directServerReturnOptOut: [ "fd00::/8" ]', felix: optOut })?.optOut.map(String), [
		'fd00::/8',
	]);
});

test('without translation or policy of this daemon there is no direct server return', (t) => {
	const given = stateOf({ services: ', directServerReturn: true' });
	const { config } = given;
	t.not(directReturnOf(given), undefined);
	t.is(directReturnOf({ ...given, config: { ...config, services: { ...config.services, proxy: false } } }), undefined);
	const networkPolicy = { ...config.networkPolicy, enforce: false };
	t.is(directReturnOf({ ...given, config: { ...config, networkPolicy } }), undefined);
	t.is(directReturnOf({ config, cluster: undefined }), undefined, 'without a cluster');
});

test('FelixConfiguration of the node has precedence, field by field', (t) => {
	const base = felix({ bpfExternalServiceMode: 'DSR', bpfDSROptoutCIDRs: ['10.0.0.0/8'] });
	const { directReturn, directReturnOptOut } = toFelixNetwork(base, felix({ bpfExternalServiceMode: 'Tunnel' }));
	t.is(directReturn, false);
	t.deepEqual(directReturnOptOut?.map(String), ['10.0.0.0/8']);
	const none = toFelixNetwork(felix({}), undefined);
	t.deepEqual([none.directReturn, none.directReturnOptOut], [undefined, undefined]);
});

test('the device leads to all nodes, packets go to those that announce that they take them', (t) => {
	const nodes = [
		node('a', { ...ipv4('192.0.2.2'), ...takes }),
		node('b', { ...ipv4('192.0.3.2'), ...takes }),
		node('c', ipv4('192.0.4.2')),
		node('d', {}),
		node('e', ipv6('fd00::5')),
	];
	const state = directStateOf(stateOf({ nodes }));
	t.is(state?.option, undefined);
	t.deepEqual(
		state?.mesh.remotes.map(({ node: name, nodeAddress, tunnelAddress }) => [name, nodeAddress, tunnelAddress]),
		[
			['b', '192.0.3.2', undefined],
			['c', '192.0.4.2', undefined],
		],
	);
	t.deepEqual(
		[...(state?.nodes ?? [])].map(([name, bytes]) => [name, macText(bytes)]),
		[['b', mac]],
	);
	t.is(state?.announced, mac);
	t.not(state?.mac, mac, 'its own device has the address of its name');
	t.deepEqual([state?.mesh.families, state?.mesh.vni, state?.mesh.port], [['ipv4'], 4097, 4789]);
});

test('a node without an address of IPv4 has the device of IPv6; the network number stays within 24 bits', (t) => {
	const nodes = [node('a', ipv6('fd00::1')), node('b', { ...ipv4('192.0.3.2'), ...ipv6('fd00::2'), ...takes })];
	const state = directStateOf(stateOf({ nodes, more: 'vxlan: { vni: 16777215 }\n' }));
	t.deepEqual(state?.mesh.families, ['ipv6']);
	t.is(state?.mesh.local.ipv6?.nodeAddress, 'fd00::1');
	t.deepEqual(
		state?.mesh.remotes.map(({ nodeAddress }) => nodeAddress),
		['fd00::2'],
	);
	t.is(state?.mesh.vni, 16_777_214);
	t.is(directStateOf({ ...stateOf({}), cluster: undefined }), undefined);
});

test('packets of other nodes are taken until none of them begins a connection any more', (t) => {
	const clock = new FakeClock();
	let connections: ReadonlySet<string> | undefined = new Set(['one']);
	const errors: unknown[] = [];
	const watch = new QuietWatch({
		...{ clock, quietMs: 1000, onError: (error) => errors.push(error) },
		connections: () => {
			if (connections === undefined) throw new Error('no map');
			return connections;
		},
	});
	let calls = 0;
	watch.begin(() => calls++);
	connections = new Set(['one', 'two']);
	clock.advance(1000);
	t.deepEqual([calls, watch.isRunning], [0, true], 'a new one came');
	connections = undefined;
	clock.advance(1000);
	t.deepEqual([calls, errors.length], [0, 1], 'not known');
	connections = new Set(['two']);
	clock.advance(1000);
	t.is(calls, 0, 'there is nothing to compare with');
	connections = new Set();
	clock.advance(1000);
	t.deepEqual([calls, watch.isRunning], [1, false], 'connections that end are no new ones');
	watch.begin(() => calls++);
	watch.cancel();
	clock.advance(5000);
	t.deepEqual([calls, clock.pendingCount], [1, 0]);
});
