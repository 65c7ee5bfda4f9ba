import { type Family, prefixKey } from '../../../src/core/index.ts';
import type { NeighbouringRoute, NeighbouringWay } from '../../../src/fib/index.ts';

/** A next hop as text: `via 10.0.0.1 dev eth0 dead`, `dev eth0 no-carrier`. */
function way(text: string): NeighbouringWay {
	const words = text.split(' ');
	const after = (word: string) => (words.includes(word) ? words[words.indexOf(word) + 1] : undefined);
	const state = words.includes('dead') ? 'dead' : words.includes('no-carrier') ? 'no-carrier' : 'alive';
	return { via: after('via'), device: after('dev'), state };
}

/**
 * A route as text, as in `ip route`: `10.0.1.0/24 dev eth0`, `0.0.0.0/0 via 10.0.1.1 dev eth0
 * metric 100`, `unreachable 10.9.0.0/16`, `local 127.0.0.0/8 dev lo`; several next hops by
 * `nexthop`.
 */
export function route(text: string): NeighbouringRoute {
	const [, kind, prefix = '', rest = ''] = /^(?:(local|unreachable) )?(\S+) ?(.*)$/.exec(text) ?? [];
	const metric = Number(/metric (\d+)/.exec(rest)?.[1] ?? 0);
	const family: Family = prefix.includes(':') ? 'ipv6' : 'ipv4';
	return {
		prefix: prefixKey(prefix),
		family,
		table: kind === 'local' ? 'local' : 'main',
		metric,
		protocol: 3,
		type: kind === 'unreachable' ? 'nowhere' : 'ways',
		ways:
			kind === 'unreachable'
				? []
				: rest
						.replace(/metric \d+ ?/, '')
						.split('nexthop ')
						.filter((part) => part.trim() !== '')
						.map(way),
	};
}
