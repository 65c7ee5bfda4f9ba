import { z } from 'zod';
import type { AddressGrantsView, CniAddRequest, CniAttachment, CniCollectRequest, CniStatusView, Handlers, ReleasedView } from '../../control/index.ts';
import { ControlError } from '../../control/index.ts';
import type { Logger } from '../../core/index.ts';
import {
	type Allocator,
	type AssignResult,
	anyInterface,
	blockName,
	blocksOf,
	handleName,
	type InterfaceMatch,
	type IpamStore,
	interfaceAttribute,
	isHandle,
	mayBeOf,
	ordinalsOfHandle,
	ordinalToAddress,
	podHandle,
	saidOf,
	sanitizeHandle,
} from '../../ipam/index.ts';
import { type ApiClient, coreKinds, type Informer, toResource } from '../../kubernetes/index.ts';
import type { GarbageService } from './garbage-service.ts';
import type { IpamHandlers } from './ipam-service.ts';
import { byFamily, podWishes } from './pod-wishes.ts';
import { readOnlyError } from './server-errors.ts';

/** What the CNI endpoints are answered from. */
export interface AddressServiceOptions {
	readonly node: string;
	readonly allocator: Allocator;
	readonly store: IpamStore & { namespaceAnnotations(namespace: string): Promise<Readonly<Record<string, string>>> };
	readonly client: ApiClient;
	/** Those of this node; one that is not there yet is asked for. */
	readonly pods: Informer;
	/** Told when a container has given its addresses back: its block may be empty now. */
	readonly released: () => void;
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
	wantedAddresses: z.array(z.string()).optional(),
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
export function addressService({ node, allocator, store, client, pods, released, log }: AddressServiceOptions): CniHandlers {
	/** A warm request finds both in the copies. */
	const annotations = async (pod: CniAttachment['pod']) => {
		if (pod === undefined) return [{}, {}] as const;
		const known = pods.items.get(`${pod.namespace}/${pod.name}`);
		const asked = known === undefined ? await client.get(coreKinds.pods, pod.name, pod.namespace) : undefined;
		const own = known ?? (asked && toResource(asked));
		return [own?.annotations ?? {}, await store.namespaceAnnotations(pod.namespace)] as const;
	};
	const release = async (handleId: string, isMeant: InterfaceMatch = anyInterface): Promise<readonly string[]> => {
		const outcome = await allocator.release(handleId, isMeant);
		if (outcome.type === 'locked') throw readOnlyError(outcome.reason);
		return outcome.type === 'released' ? outcome.addresses : [];
	};
	return {
		async cniAdd({ request }): Promise<AddressGrantsView> {
			const asked = parse(addSchema, request) as CniAddRequest;
			const handleId = podHandle(asked.network, asked.containerId);
			if (!isHandle(handleId))
				throw new ControlError(
					400,
					'bad-request',
					`${handleId} can not be the name of a resource`,
					"the network's name and the container's ID: letters, digits, - and ., 253 at most, as Kubernetes takes them",
				);
			const wishes = podWishes(...(await annotations(asked.pod)));
			// What the runtime asks for is about this attachment, the annotation about all of the pod's.
			const addresses = asked.wantedAddresses === undefined ? wishes.addresses : byFamily(asked.wantedAddresses);
			const wanted = (['ipv4', 'ipv6'] as const).filter((family) => addresses[family] !== undefined);
			const result = await allocator.assign({
				handleId,
				attributes: {
					node,
					timestamp: goTime(new Date()),
					...ifnameOf(asked),
					...(asked.pod === undefined ? {} : { pod: asked.pod.name, namespace: asked.pod.namespace }),
				},
				// Who asks for certain addresses gets these and no others, as from Calico.
				families: wanted.length > 0 ? wanted : asked.families,
				use: 'Workload',
				...(asked.pod === undefined ? {} : { namespace: asked.pod.namespace }),
				pools: { ipv4: wishes.pools.ipv4 ?? asked.ipv4Pools, ipv6: wishes.pools.ipv6 ?? asked.ipv6Pools },
				addresses,
				...(asked.gateways === undefined ? {} : { gateways: asked.gateways }),
			});
			log.info('addresses for a container', { container: asked.containerId, pod: asked.pod && `${asked.pod.namespace}/${asked.pod.name}`, result });
			return granted(result);
		},
		async cniDelete({ request }): Promise<ReleasedView> {
			const asked = parse(attachmentSchema, request) as CniAttachment;
			const addresses = [...(await release(podHandle(asked.network, asked.containerId), ofInterface(asked)))];
			// As a pod of Calico v2 holds them; its plugin of today looks there, too.
			if (asked.pod !== undefined) addresses.push(...(await release(`${asked.pod.namespace}.${asked.pod.name}`)));
			log.info('addresses of a container released', { container: asked.containerId, addresses });
			released();
			return { addresses };
		},
		async cniCheck({ request }): Promise<AddressGrantsView> {
			const asked = parse(checkSchema, request);
			const held = await heldBy(store, podHandle(asked.network, asked.containerId), ofInterface(asked));
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
			const released: string[] = [];
			for (const { handleId, gone } of goneOf(await handlesOfNode(store, node, asked.network), asked)) released.push(...(await release(handleId, gone)));
			if (released.length > 0) log.info('addresses of containers that are gone released', { addresses: released });
			return { addresses: released };
		},
		async cniStatus(): Promise<CniStatusView> {
			const reason = await store.readOnlyReason();
			if (reason !== undefined) throw readOnlyError(reason);
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
	const { family, reason, pools, temporary } = result;
	const why = pools.map((verdict) => `${verdict.pool}: ${verdict.reason}`).join('; ');
	const hint = why === '' ? undefined : `pools considered: ${why}`;
	throw new ControlError(temporary ? 503 : 409, 'no-address', `${family}: ${reason}`, hint, { family, reason, temporary, pools });
}

/** What an address remembers of the interface that it is for. */
const ifnameOf = ({ ifname }: CniAttachment): Readonly<Record<string, string>> => (ifname === '' ? {} : { [interfaceAttribute]: ifname });

const ofInterface = ({ ifname }: Pick<CniAttachment, 'ifname'>): InterfaceMatch => mayBeOf(ifname === '' ? undefined : ifname);

/** The addresses of a handle that may be of the interfaces meant, from the blocks themselves. */
async function heldBy(store: IpamStore, handleId: string, isMeant: InterfaceMatch) {
	const handle = await store.handles.read(handleName(handleId), 'fresh');
	const blocks = await Promise.all(blocksOf(handle?.value).map((cidr) => store.blocks.read(blockName(cidr), 'fresh')));
	return blocks.flatMap((block) => {
		if (block === undefined) return [];
		const { cidr } = block.value;
		const family = cidr.includes(':') ? ('ipv6' as const) : ('ipv4' as const);
		return ordinalsOfHandle(block.value, sanitizeHandle(handleId), isMeant).map((ordinal) => ({
			family,
			address: ordinalToAddress(cidr, ordinal),
			block: cidr,
		}));
	});
}

/**
 * What of these handles no valid attachment has: all of a container that has none, and of others what was given to interfaces that are gone. An address that
 * does not say which interface it is for stays as long as its container has any. Pure.
 */
function goneOf(
	handles: ReadonlyMap<string, ReadonlySet<string>>,
	{ network, validAttachments }: CniCollectRequest,
): readonly { readonly handleId: string; readonly gone: InterfaceMatch }[] {
	return [...handles].flatMap(([handleId, ifnames]) => {
		const valid = validAttachments.filter(({ containerId }) => podHandle(network, containerId) === handleId).map(({ ifname }) => ifname);
		if (valid.length === 0) return [{ handleId, gone: anyInterface }];
		const gone = new Set([...ifnames].filter((ifname) => !valid.includes(ifname)));
		return gone.size === 0 ? [] : [{ handleId, gone: saidOf(gone) }];
	});
}

/**
 * Handles of a network whose addresses were given on this node. Both a network's name and a container's ID may have dots: a handle that could be
 * another network's is passed over, since its owner would not know why its address went. With the interfaces
 * that its addresses say they are for.
 */
async function handlesOfNode(store: IpamStore, node: string, network: string): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
	const handles = new Map<string, Set<string>>();
	for (const { value } of (await store.blocks.list()).items)
		for (const { handleId, secondary } of value.attributes) {
			const handle = sanitizeHandle(handleId ?? '');
			// A virtual machine's address is under a name of its own, NETWORK.NAMESPACE-NAME, and outlives its containers; a tunnel has none.
			const isContainers = secondary?.['type'] === undefined && secondary?.['vmi-name'] === undefined;
			if (!isContainers || handle.slice(0, Math.max(0, handle.lastIndexOf('.'))) !== network || secondary?.['node'] !== node) continue;
			const ifname = secondary[interfaceAttribute];
			handles.set(handle, new Set([...(handles.get(handle) ?? []), ...(ifname === undefined ? [] : [ifname])]));
		}
	return handles;
}

/** As Go prints a time in UTC, which is what Calico writes there. */
function goTime(date: Date): string {
	return `${date.toISOString().replace('T', ' ').replace('Z', '')} +0000 UTC`;
}
