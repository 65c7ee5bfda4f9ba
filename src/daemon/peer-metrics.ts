import { setImmediate } from 'node:timers/promises';
import type { PeerView } from '../core/index.ts';

interface PeerMetricRow {
	readonly name: string;
	readonly kind: 'gauge' | 'counter';
	readonly help: string;
	readonly samples: (peer: PeerView) => readonly (readonly [labels: string, value: number])[];
}

const rows: readonly PeerMetricRow[] = [
	{ name: 'bgpmesh_peer_up', kind: 'gauge', help: '1 when the session is established.', samples: ({ state }) => [['', state === 'established' ? 1 : 0]] },
	{
		name: 'bgpmesh_peer_established_total',
		kind: 'counter',
		help: 'Times the session reached Established.',
		samples: ({ establishedCount }) => [['', establishedCount]],
	},
	{
		name: 'bgpmesh_peer_prefixes',
		kind: 'gauge',
		help: 'Prefixes received, accepted by policy, best, and advertised.',
		samples: ({ prefixes }) =>
			prefixes.flatMap(({ family, received, accepted, best, advertised }) =>
				Object.entries({ received, accepted, best, advertised }).map(([table, value]): readonly [string, number] => [
					`,family="${family}",table="${table}"`,
					value,
				]),
			),
	},
	{
		name: 'bgpmesh_peer_messages_total',
		kind: 'counter',
		help: 'Messages by direction and type.',
		samples: ({ messages }) =>
			(['received', 'sent'] as const).flatMap((direction) =>
				(['open', 'update', 'notification', 'keepalive', 'refresh'] as const).map((type): readonly [string, number] => [
					`,direction="${direction}",type="${type}"`,
					messages[direction][type],
				]),
			),
	},
	{
		name: 'bgpmesh_peer_malformed_updates_total',
		kind: 'counter',
		help: 'Malformed UPDATEs of the session by what became of them (RFC 7606).',
		samples: ({ malformed }) =>
			malformed === undefined
				? []
				: [
						[',remedy="treat-as-withdraw"', malformed.treatedAsWithdraw],
						[',remedy="attribute-discard"', malformed.attributesDiscarded],
					],
	},
	{
		name: 'bgpmesh_peer_bytes_total',
		kind: 'counter',
		help: 'Bytes of BGP by direction.',
		samples: ({ messages }) => (['received', 'sent'] as const).map((direction) => [`,direction="${direction}"`, messages[direction].bytes]),
	},
];

const peersPerSlice = 200;

/** The neighbours' part of /metrics. A turn of the event loop after every 200: keepalives are not late because somebody scrapes. */
export async function renderPeerMetrics(peers: readonly PeerView[]): Promise<string> {
	const parts: string[] = [];
	for (const { name, kind, help, samples } of rows) {
		parts.push(`# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`);
		for (const [index, peer] of peers.entries()) {
			if (index > 0 && index % peersPerSlice === 0) await setImmediate();
			const label = `peer="${escaped(peer.name)}"`;
			for (const [labels, value] of samples(peer)) parts.push(`${name}{${label}${labels}} ${value}\n`);
		}
	}
	return parts.join('');
}

/** Label values of the text format: backslash, quote and line end are escaped. */
function escaped(value: string): string {
	return value.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
