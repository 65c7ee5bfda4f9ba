import { z } from 'zod';
import type { AddressGrantsView, CniAddRequest, CniAttachment, CniStatusView, Handlers, ReleasedView } from '../../control/index.ts';
import { ControlError } from '../../control/index.ts';
import { AddressError, familyOf, type Logger, parseAddress } from '../../core/index.ts';
import { type Allocator, type AssignResult, type IpamStore, ordinalToAddress, podHandle, sanitizeHandle } from '../../ipam/index.ts';
import { type ApiClient, coreKinds, type Informer, parseJson, type Resource, toResource } from '../../kubernetes/index.ts';
import type { GarbageService } from './garbage-service.ts';
import type { IpamHandlers } from './ipam-service.ts';

/** What the CNI endpoints are answered from. */
export interface AddressServiceOptions {
	readonly node: string;
	readonly allocator: Allocator;
	readonly store: IpamStore;
	readonly client: ApiClient;
	/** Those of this node; one that is not there yet is asked for. */
	readonly pods: Informer;
	readonly log: Logger;
}

type CniHandlers = Pick<Handlers, 'cniAdd' | 'cniDelete' | 'cniCheck' | 'cniCollect' | 'cniStatus'>;

const attachment = {
	network: z.string().min(1),
	containerId: z.string().min(1),
	ifname: z.string(),
	pod: z.object({ namespace: z.string(), name: z.string(), uid: z.string().optional() }).optional(),
};
/** What the CNI endpoints take. */
export const addSchema = z.object({
	...attachment,
	families: z.array(z.enum(['ipv4', 'ipv6'])).min(1, 'assign_ipv4 or assign_ipv6 must be true'),
	ipv4Pools: z.array(z.string()),
	ipv6Pools: z.array(z.string()),
	wantedAddress: z.string().optional(),
	gateways: z.array(z.enum(['ipv4', 'ipv6'])).optional(),
});
export const attachmentSchema = z.object(attachment);
export const checkSchema = z.object({ ...attachment, addresses: z.array(z.string()) });
export const collectSchema = z.object({ network: z.string().min(1), validAttachments: z.array(z.object({ containerId: z.string(), ifname: z.string() })) });

/** Everything about addresses that the control socket answers. */
export type AddressHandlers = CniHandlers & IpamHandlers & GarbageService['handlers'];

/** The endpoints while there is nothing to take addresses from. */
export const noAddressService = (reason: string): AddressHandlers => {
	const refuse = (): never => {
		throw new ControlError(503, 'no-addresses', reason, 'datastore in the configuration of bgpmeshd');
	};
	return {
		pools: refuse,
		ipamBlocks: refuse,
		ipamAddress: refuse,
		ipamCheck: refuse,
		ipamFix: refuse,
		ipamRelease: refuse,
		ipamGarbage: refuse,
		ipamCollect: refuse,
		cniAdd: refuse,
		cniDelete: refuse,
		cniCheck: refuse,
		cniCollect: refuse,
		cniStatus: refuse,
	};
};

/** Addresses for containers, as `calico-ipam` gives them: the same handles, attributes and annotations. */
export function addressService({ node, allocator, store, client, pods, log }: AddressServiceOptions): CniHandlers {
	return {
		async cniAdd({ request }): Promise<AddressGrantsView> {
			const asked = parse(addSchema, request) as CniAddRequest;
			const wishes = asked.pod === undefined ? noWishes : await podWishes(client, pods, asked.pod);
			const result = await allocator.assign({
				handleId: podHandle(asked.network, asked.containerId),
				attributes: { node, timestamp: goTime(new Date()), ...(asked.pod === undefined ? {} : { pod: asked.pod.name, namespace: asked.pod.namespace }) },
				families: asked.families,
				use: 'Workload',
				...(asked.pod === undefined ? {} : { namespace: asked.pod.namespace }),
				pools: { ipv4: wishes.pools.ipv4 ?? asked.ipv4Pools, ipv6: wishes.pools.ipv6 ?? asked.ipv6Pools },
				addresses: byFamily([...wishes.addresses, ...(asked.wantedAddress === undefined ? [] : [asked.wantedAddress])]),
				...(asked.gateways === undefined ? {} : { gateways: asked.gateways }),
			});
			log.info('addresses for a container', { container: asked.containerId, pod: asked.pod && `${asked.pod.namespace}/${asked.pod.name}`, result });
			return granted(result);
		},
		async cniDelete({ request }): Promise<ReleasedView> {
			const asked = parse(attachmentSchema, request) as CniAttachment;
			const outcome = await allocator.release(podHandle(asked.network, asked.containerId));
			const addresses = outcome.type === 'released' ? outcome.addresses : [];
			log.info('addresses of a container released', { container: asked.containerId, addresses });
			return { addresses };
		},
		async cniCheck({ request }): Promise<AddressGrantsView> {
			const asked = parse(checkSchema, request);
			const held = await heldBy(store, podHandle(asked.network, asked.containerId));
			const missing = asked.addresses.filter((address) => !held.some((grant) => grant.address === address));
			if (held.length === 0 || missing.length > 0)
				throw new ControlError(
					409,
					'address-mismatch',
					`container ${asked.containerId} holds ${held.map(({ address }) => address).join(', ') || 'nothing'}, not ${missing.join(', ') || 'an address'}`,
				);
			return { addresses: held };
		},
		async cniCollect({ request }): Promise<ReleasedView> {
			const asked = parse(collectSchema, request);
			const valid = new Set(asked.validAttachments.map(({ containerId }) => podHandle(asked.network, containerId)));
			const released: string[] = [];
			for (const handleId of await handlesOfNode(store, node, asked.network)) {
				if (valid.has(handleId)) continue;
				const outcome = await allocator.release(handleId);
				if (outcome.type === 'released') released.push(...outcome.addresses);
			}
			if (released.length > 0) log.info('addresses of containers that are gone released', { addresses: released });
			return { addresses: released };
		},
		async cniStatus(): Promise<CniStatusView> {
			const reason = await store.readOnlyReason();
			if (reason !== undefined) throw new ControlError(503, 'read-only', reason);
			return { ready: true };
		},
	};
}

/** A request as its schema has it. @throws ControlError 400 with what is wrong */
export function parse<T>(schema: z.ZodType<T>, request: unknown): T {
	const parsed = schema.safeParse(request);
	if (parsed.success) return parsed.data;
	const [issue] = parsed.error.issues;
	throw new ControlError(400, 'bad-request', `request.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`);
}

function granted(result: AssignResult): AddressGrantsView {
	if (result.type === 'assigned')
		return {
			addresses: result.addresses.map(({ family, address, block, pool, gateway }) => ({
				family,
				address,
				block,
				...(pool === undefined ? {} : { pool }),
				...(gateway === undefined ? {} : { gateway }),
			})),
		};
	const why = result.pools.map(({ pool, reason }) => `${pool}: ${reason}`).join('; ');
	throw new ControlError(result.temporary ? 503 : 409, 'no-address', `${result.family}: ${result.reason}`, why === '' ? undefined : `pools considered: ${why}`);
}

/** What annotations of the pod, or of its namespace, ask for. */
interface Wishes {
	readonly pools: { readonly ipv4?: readonly string[]; readonly ipv6?: readonly string[] };
	readonly addresses: readonly string[];
}

const noWishes: Wishes = { pools: {}, addresses: [] };

/** The annotations of calico-ipam; the pod's go before its namespace's. A warm request finds the pod in the copy. */
async function podWishes(client: ApiClient, pods: Informer, { namespace, name }: { readonly namespace: string; readonly name: string }): Promise<Wishes> {
	const known = pods.items.get(`${namespace}/${name}`);
	const asked = known === undefined ? await client.get(coreKinds.pods, name, namespace) : undefined;
	const resource = known ?? (asked && toResource(asked));
	if (resource === undefined) return noWishes;
	return {
		pools: { ...listed(resource, 'ipv4pools', (ipv4) => ({ ipv4 })), ...listed(resource, 'ipv6pools', (ipv6) => ({ ipv6 })) },
		addresses: listed(resource, 'ipAddrs', (addresses) => ({ addresses })).addresses ?? [],
	};
}

function listed<T extends object>({ name, annotations }: Resource, key: string, made: (list: readonly string[]) => T): Partial<T> {
	const text = annotations[`cni.projectcalico.org/${key}`];
	if (text === undefined) return {};
	let list: unknown;
	try {
		list = parseJson(text);
	} catch {
		list = undefined;
	}
	if (!Array.isArray(list) || !list.every((item): item is string => typeof item === 'string'))
		throw new ControlError(400, 'bad-annotation', `pod ${name}: annotation cni.projectcalico.org/${key} is not a JSON list of text: ${text}`);
	return made(list);
}

function byFamily(addresses: readonly string[]): { ipv4?: string; ipv6?: string } {
	try {
		return Object.fromEntries(addresses.map((address) => [familyOf(parseAddress(address).bytes), address]));
	} catch (error) {
		if (error instanceof AddressError) throw new ControlError(400, 'bad-request', error.message);
		throw error;
	}
}

/** The addresses of a handle, from the blocks themselves. */
async function heldBy(store: IpamStore, handleId: string) {
	const handle = await store.handles.read(handleId.toLowerCase(), 'fresh');
	if (handle === undefined) return [];
	const blocks = (await store.blocks.list()).filter(({ value }) => Object.hasOwn(handle.value.blocks, value.cidr));
	return blocks.flatMap(({ value: { cidr, allocations, attributes } }) =>
		allocations.flatMap((index, ordinal) => {
			const owner = index === null ? undefined : attributes[index]?.handleId;
			return owner !== undefined && sanitizeHandle(owner) === handleId
				? [{ family: cidr.includes(':') ? ('ipv6' as const) : ('ipv4' as const), address: ordinalToAddress(cidr, ordinal), block: cidr as string }]
				: [];
		}),
	);
}

/** Handles of a network whose addresses were given on this node. */
async function handlesOfNode(store: IpamStore, node: string, network: string): Promise<ReadonlySet<string>> {
	const handles = new Set<string>();
	for (const { value } of await store.blocks.list())
		for (const { handleId, secondary } of value.attributes)
			if (handleId?.startsWith(`${network}.`) && secondary?.['node'] === node) handles.add(sanitizeHandle(handleId));
	return handles;
}

/** As Go prints a time in UTC, which is what Calico writes there. */
function goTime(date: Date): string {
	return `${date.toISOString().replace('T', ' ').replace('Z', '')} +0000 UTC`;
}
