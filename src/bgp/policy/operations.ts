import { type LargeCommunity, uniqueLargeCommunities } from 'bgp-packet';
import { familyOf, formatExtendedCommunity, parseAddress } from '../../core/index.ts';
import type { PolicyOperation } from '../model/policy.ts';
import { prepended } from './as-path.ts';
import type { PolicyState } from './state.ts';
import { parseCommunity, parseLargeCommunity, readExtendedCommunity } from './text.ts';

/** The effect of an operation on a route. */
export type Apply = (state: PolicyState) => PolicyState;

const u32Max = 0xffff_ffff;

/** Compiles one operation. @throws CommunityError, AddressError */
export function compileOperation(operation: PolicyOperation): Apply {
	switch (operation.type) {
		case 'add-community': {
			const value = parseCommunity(operation.value);
			return withCommunities((present) => (present.includes(value) ? present : [...present, value]));
		}
		case 'remove-community': {
			const value = parseCommunity(operation.value);
			return withCommunities((present) => present.filter((other) => other !== value));
		}
		case 'set-communities': {
			const values = operation.values.map(parseCommunity);
			return withCommunities(() => [...new Set(values)]);
		}
		case 'add-large-community': {
			const value = parseLargeCommunity(operation.value);
			return withLargeCommunities((present) => [...present, value]);
		}
		case 'remove-large-community': {
			const gone = parseLargeCommunity(operation.value).join(':');
			return withLargeCommunities((present) => present.filter((value) => value.join(':') !== gone));
		}
		case 'set-large-communities': {
			const values = operation.values.map(parseLargeCommunity);
			return withLargeCommunities(() => values);
		}
		case 'add-extended-community': {
			const value = readExtendedCommunity(operation.value);
			return withExtendedCommunities((present) => [...present, value]);
		}
		case 'remove-extended-community': {
			const gone = formatExtendedCommunity(readExtendedCommunity(operation.value));
			return withExtendedCommunities((present) => present.filter((value) => formatExtendedCommunity(value) !== gone));
		}
		case 'set-extended-communities': {
			const values = operation.values.map(readExtendedCommunity);
			return withExtendedCommunities(() => values);
		}
		case 'prepend-as-path':
			return (state) =>
				state.with({
					attributes: { ...state.attributes, asPath: prepended(operation.asNumbers, state.attributes.asPath) },
				});
		case 'set-med': {
			const { value } = operation;
			return (state) => {
				const { med: _, ...attributes } = state.attributes;
				return state.with({
					attributes: value === undefined ? attributes : { ...attributes, med: value },
					medSet: true,
				});
			};
		}
		case 'add-med': {
			const { value } = operation;
			return (state) =>
				state.with({
					attributes: { ...state.attributes, med: clamp((state.attributes.med ?? 0) + value) },
					medSet: true,
				});
		}
		case 'set-local-pref': {
			const { value } = operation;
			return (state) => state.with({ attributes: { ...state.attributes, localPref: value } });
		}
		case 'set-next-hop':
			return setNextHop(operation.value);
		case 'set-origin': {
			const { value } = operation;
			return (state) => state.with({ attributes: { ...state.attributes, origin: value } });
		}
		case 'set-priority': {
			const { value } = operation;
			return (state) => state.with({ priority: value });
		}
		default:
			return operation satisfies never;
	}
}

const clamp = (value: number) => Math.max(0, Math.min(u32Max, value));

function withCommunities(change: (present: readonly number[]) => readonly number[]): Apply {
	return (state) => {
		const { communities = [], ...attributes } = state.attributes;
		const changed = change(communities);
		return state.with({ attributes: changed.length === 0 ? attributes : { ...attributes, communities: changed } });
	};
}

function withLargeCommunities(change: (present: readonly LargeCommunity[]) => readonly LargeCommunity[]): Apply {
	return (state) => {
		const { largeCommunities = [], ...attributes } = state.attributes;
		const changed = uniqueLargeCommunities(change(largeCommunities));
		return state.with({ attributes: changed.length === 0 ? attributes : { ...attributes, largeCommunities: changed } });
	};
}

function withExtendedCommunities(change: (present: readonly Uint8Array[]) => readonly Uint8Array[]): Apply {
	return (state) => {
		const { extendedCommunities = [], ...attributes } = state.attributes;
		const changed = [
			...new Map(change(extendedCommunities).map((value) => [formatExtendedCommunity(value), value] as const)).values(),
		];
		return state.with({
			attributes: changed.length === 0 ? attributes : { ...attributes, extendedCommunities: changed },
		});
	};
}

function setNextHop(value: string): Apply {
	if (value === 'self' || value === 'keep') return (state) => state.with({ nextHop: value });
	const address = parseAddress(value).bytes;
	return (state) => {
		const { nextHop: _, mpReach, ...attributes } = state.attributes;
		// The family of the routes: that of MP_REACH_NLRI, else IPv4.
		const afi = mpReach?.afi ?? 1;
		const routes = { type: 'prefixes', nlri: [] } as const;
		const plain = familyOf(address) === 'ipv4' && afi === 1;
		return state.with({
			attributes: plain
				? { ...attributes, nextHop: address }
				: { ...attributes, mpReach: { afi, safi: 1, nextHop: address, routes } },
			nextHop: 'keep',
		});
	};
}
