import type { PeerView } from '../../core/index.ts';
import { escapedLabel, headOf } from './text.ts';

interface PeerMetricRow {
	readonly name: string;
	readonly kind: 'gauge' | 'counter';
	readonly help: string;
	/** `peer` first. */
	readonly labels: readonly string[];
	readonly samples: (peer: PeerView) => readonly (readonly [labels: string, value: number])[];
}

export const peerMetricRows: readonly PeerMetricRow[] = [
	{
		name: 'bgpmesh_peer_up',
		kind: 'gauge',
		help: '1 when the session is established.',
		labels: ['peer'],
		samples: ({ state }) => [['', state === 'established' ? 1 : 0]],
	},
	{
		name: 'bgpmesh_peer_established_total',
		kind: 'counter',
		help: 'Times the session reached Established.',
		labels: ['peer'],
		samples: ({ establishedCount }) => [['', establishedCount]],
	},
	{
		name: 'bgpmesh_peer_prefixes',
		kind: 'gauge',
		help: 'Prefixes received, accepted by policy, best, and advertised.',
		labels: ['peer', 'family', 'table'],
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
		labels: ['peer', 'direction', 'type'],
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
		labels: ['peer', 'remedy'],
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
		labels: ['peer', 'direction'],
		samples: ({ messages }) =>
			(['received', 'sent'] as const).map((direction) => [`,direction="${direction}"`, messages[direction].bytes]),
	},
];

/**
 * The neighbours' part of /metrics, line by line. The format requires all lines of a metric
 * together, so the peers are iterated once for each metric, without a buffer.
 */
export function* peerMetrics(peers: () => Iterable<PeerView>): Generator<string, void, void> {
	for (const row of peerMetricRows) {
		const { name, samples } = row;
		yield headOf(row);
		for (const peer of peers()) {
			const label = `peer="${escapedLabel(peer.name)}"`;
			for (const [labels, value] of samples(peer)) yield `${name}{${label}${labels}} ${value}\n`;
		}
	}
}
