import { AddressError, type PrefixKey, prefixKey } from '../../core/index.ts';
import { arrayAt, type JsonValue } from '../../json/index.ts';
import { flagOf, numberOf, textOf } from './fields.ts';
import { type Resource, specOf } from './resource.ts';

/**
 * The FelixConfiguration settings for tunnels and routes. `undefined`: the key is absent, and
 * Calico's default applies.
 */
export interface FelixNetworkSettings {
	readonly vxlanVni: number | undefined;
	readonly vxlanPort: number | undefined;
	readonly vxlanMtuBytes: number | undefined;
	readonly vxlanMtuV6Bytes: number | undefined;
	readonly ipipMtuBytes: number | undefined;
	/** `vxlanEnabled`: enables VXLAN without pools, or disables it in spite of pools. */
	readonly vxlanEnabled: boolean | undefined;
	/** Metric of routes to local workloads, and during live migration of virtual machines. */
	readonly normalPriority: { readonly ipv4: number | undefined; readonly ipv6: number | undefined };
	readonly elevatedPriority: { readonly ipv4: number | undefined; readonly ipv6: number | undefined };
	/** `deviceRouteSourceAddress`, `deviceRouteSourceAddressIPv6`. */
	readonly sourceAddress: { readonly ipv4: string | undefined; readonly ipv6: string | undefined };
	/** `bpfExternalServiceMode` is DSR. */
	readonly directReturn: boolean | undefined;
	/** `bpfDSROptoutCIDRs`; what is no prefix is left out. */
	readonly directReturnOptOut: readonly PrefixKey[] | undefined;
}

/** FelixConfiguration `default`, overridden by `node.NODE`, field by field. */
export function toFelixNetwork(base: Resource | undefined, own: Resource | undefined): FelixNetworkSettings {
	const specs = [own, base].flatMap((resource) => (resource === undefined ? [] : [specOf(resource)]));
	const first = <T>(read: (spec: ReturnType<typeof specOf>) => T | undefined): T | undefined => {
		for (const spec of specs) {
			const value = read(spec);
			if (value !== undefined) return value;
		}
		return undefined;
	};
	/** 0 selects the automatic value in Calico. */
	const number = (key: string) => {
		const value = first((spec) => numberOf(spec, key));
		return value === 0 ? undefined : value;
	};
	const text = (key: string) => first((spec) => textOf(spec, key) || undefined);
	return {
		vxlanVni: number('vxlanVNI'),
		vxlanPort: number('vxlanPort'),
		vxlanMtuBytes: number('vxlanMTU'),
		vxlanMtuV6Bytes: number('vxlanMTUV6'),
		ipipMtuBytes: number('ipipMTU'),
		vxlanEnabled: first((spec) => (spec['vxlanEnabled'] === undefined ? undefined : flagOf(spec, 'vxlanEnabled'))),
		normalPriority: { ipv4: number('ipv4NormalRoutePriority'), ipv6: number('ipv6NormalRoutePriority') },
		elevatedPriority: { ipv4: number('ipv4ElevatedRoutePriority'), ipv6: number('ipv6ElevatedRoutePriority') },
		directReturn: first((spec) => {
			const mode = textOf(spec, 'bpfExternalServiceMode');
			return mode === undefined ? undefined : mode === 'DSR';
		}),
		directReturnOptOut: first((spec) =>
			spec['bpfDSROptoutCIDRs'] === undefined ? undefined : prefixesOf(arrayAt(spec, 'bpfDSROptoutCIDRs')),
		),
		sourceAddress: { ipv4: text('deviceRouteSourceAddress'), ipv6: text('deviceRouteSourceAddressIPv6') },
	};
}

const prefixesOf = (entries: readonly JsonValue[]): PrefixKey[] =>
	entries.flatMap((entry) => {
		try {
			return typeof entry === 'string' ? [prefixKey(entry, 'clear')] : [];
		} catch (error) {
			if (!(error instanceof AddressError)) throw error;
			return [];
		}
	});
