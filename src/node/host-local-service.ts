import { type AddressGrant, type AddressGrantsView, ControlError, type Handlers } from '../control/index.ts';
import {
	type Family,
	hostPrefix,
	type Logger,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
} from '../core/index.ts';
import { isGivable, nextAddress, rangeGateway, rangesOf, uselessRange } from '../ipam/index.ts';
import { type Informer, toNodeFacts } from '../kubernetes/index.ts';
import { addSchema, attachmentSchema, checkSchema, collectSchema, parse } from './address-service.ts';
import type { HostLocalLedger } from './host-local-ledger.ts';
import { byFamily } from './pod-wishes.ts';

export interface HostLocalServiceDependencies {
	readonly node: string;
	readonly ledger: HostLocalLedger;
	/** The present `spec.podCIDRs` of this node. */
	readonly ranges: () => readonly PrefixKey[];
	readonly log: Logger;
}

type CniHandlers = Pick<Handlers, 'cniAdd' | 'cniDelete' | 'cniCheck' | 'cniCollect' | 'cniStatus'>;

/**
 * Assigns addresses to containers from the ranges that Kubernetes gave this node, in the manner of
 * the plugin host-local, without the API server.
 */
export function hostLocalService({ node, ledger, ranges, log }: HostLocalServiceDependencies): CniHandlers {
	/** The last assigned address of each range: a released address is not reused at once. */
	const last = new Map<PrefixKey, string>();
	/** Serializes requests: two concurrent requests for one container get the same result. */
	let turn: Promise<unknown> = Promise.resolve();
	const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
		const result = turn.then(act);
		turn = result.catch(() => undefined);
		return result;
	};
	const grant = (address: string, gateways: readonly Family[]): AddressGrant => {
		const parsed = parseAddress(address);
		const { family } = parsed;
		const range = ranges().find((cidr) => prefixContains(parsePrefix(cidr), parsed));
		// A range that no longer belongs to this node has no gateway here.
		if (range === undefined) return { family, address, block: hostPrefix(address) };
		return { family, address, block: range, ...(gateways.includes(family) ? { gateway: rangeGateway(range) } : {}) };
	};
	const choose = (family: Family, wanted: string | undefined): string => {
		const own = rangesOf(ranges(), family);
		if (own.length === 0)
			throw new ControlError(
				503,
				'no-addresses',
				`node ${node} has no ${family} range: spec.podCIDRs of its Node`,
				'kube-controller-manager with --allocate-node-cidrs gives them',
			);
		if (wanted !== undefined) {
			if (!own.some((cidr) => isGivable(cidr, wanted)))
				throw new ControlError(409, 'no-address', `${family}: ${wanted} is not given by ${own.join(', ')}`);
			if (ledger.isTaken(wanted)) throw new ControlError(409, 'no-address', `${family}: ${wanted} is taken`);
			return wanted;
		}
		for (const cidr of own) {
			const address = nextAddress(cidr, (candidate) => ledger.isTaken(candidate), last.get(cidr));
			if (address === undefined) continue;
			last.set(cidr, address);
			return address;
		}
		const useless = own.flatMap((cidr) => uselessRange(cidr) ?? []);
		throw new ControlError(
			503,
			'no-address',
			`${family}: every address of ${own.join(', ')} is taken`,
			useless.length === 0 ? undefined : useless.join('; '),
		);
	};
	return {
		cniAdd: ({ request }): Promise<AddressGrantsView> =>
			inTurn(async () => {
				const {
					network,
					containerId,
					ifname,
					pod,
					ipv4Pools,
					ipv6Pools,
					wantedAddresses = [],
					gateways = [],
					...asked
				} = parse(addSchema, request);
				if (ipv4Pools.length + ipv6Pools.length > 0)
					throw new ControlError(
						400,
						'bad-request',
						'there are no pools to choose: this node gives addresses of its podCIDRs',
						'remove ipv4_pools and ipv6_pools, or ipam.mode: host-local',
					);
				const wanted = byFamily(wantedAddresses);
				// As with blocks: a request for specific addresses gets only these.
				const families =
					wantedAddresses.length === 0
						? asked.families
						: (['ipv4', 'ipv6'] as const).filter((family) => wanted[family] !== undefined);
				const owner = { network, containerId, ifname, pod: pod && `${pod.namespace}/${pod.name}` };
				const held = ledger.addressesOf(owner);
				const heldOf = (family: Family) => held.find((address) => parseAddress(address).family === family);
				const other = families.find(
					(family) =>
						wanted[family] !== undefined && heldOf(family) !== undefined && !held.includes(wanted[family] ?? ''),
				);
				if (other !== undefined)
					throw new ControlError(
						409,
						'no-address',
						`${other}: ${heldOf(other)} is its address already, not ${wanted[other]}`,
					);
				const missing = families.filter((family) => heldOf(family) === undefined);
				const given: string[] = [];
				try {
					for (const family of missing) {
						const address = choose(family, wanted[family]);
						await ledger.take(address, owner);
						given.push(address);
					}
				} catch (error) {
					// All or nothing.
					for (const address of given) await ledger.release(address);
					throw error;
				}
				const all = [...held, ...given];
				log.info('addresses for a container', { container: containerId, pod: owner.pod, addresses: all });
				return {
					addresses: families.flatMap((family) =>
						all.map((address) => grant(address, gateways)).filter((each) => each.family === family),
					),
				};
			}),
		cniDelete: ({ request }) =>
			inTurn(async () => {
				const owner = parse(attachmentSchema, request);
				const addresses = ledger.addressesOf(owner);
				for (const address of addresses) await ledger.release(address);
				log.info('addresses of a container released', { container: owner.containerId, addresses });
				return { addresses };
			}),
		async cniCheck({ request }) {
			const { addresses, ...owner } = parse(checkSchema, request);
			const held = ledger.addressesOf(owner);
			const missing = addresses.filter((address) => !held.includes(address));
			if (held.length === 0 || missing.length > 0)
				throw new ControlError(
					409,
					'address-mismatch',
					`container ${owner.containerId} holds ${held.join(', ') || 'nothing'}, not ` +
						`${missing.join(', ') || 'an address'}`,
				);
			return { addresses: held.map((address) => grant(address, [])) };
		},
		cniCollect: ({ request }) =>
			inTurn(async () => {
				const { network, validAttachments } = parse(collectSchema, request);
				const valid = new Set(validAttachments.map(({ containerId, ifname }) => `${containerId} ${ifname}`));
				const gone = ledger
					.ownersOf(network)
					.filter(({ containerId, ifname }) => !valid.has(`${containerId} ${ifname}`));
				for (const { address } of gone) await ledger.release(address);
				const addresses = gone.map(({ address }) => address);
				if (addresses.length > 0) log.info('addresses of containers that are gone released', { addresses });
				return { addresses };
			}),
		async cniStatus() {
			if (ranges().length === 0)
				throw new ControlError(503, 'no-addresses', `node ${node} has no range: spec.podCIDRs of its Node`);
			return { ready: true };
		},
	};
}

/** The last known `spec.podCIDRs` of a node. */
export function podRanges(nodes: Informer, node: string): readonly PrefixKey[] {
	const resource = nodes.items.get(node);
	return resource === undefined ? [] : toNodeFacts(resource).podCidrs;
}
