import { z } from 'zod';
import type {
	AddressGrantsView,
	CniAddRequest,
	CniAttachment,
	CniCollectRequest,
	CniStatusView,
	Handlers,
	ReleasedView,
} from '../control/index.ts';
import { ControlError } from '../control/index.ts';
import type { Family, Logger } from '../core/index.ts';
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
} from '../ipam/index.ts';
import { type ApiClient, coreKinds, type Informer, toResource } from '../kubernetes/index.ts';
import type { GarbageService } from './garbage-service.ts';
import type { IpamHandlers } from './ipam-service.ts';
import { byFamily, podWishes } from './pod-wishes.ts';
import { readOnlyError } from './server-errors.ts';

/** Dependencies of the CNI endpoints. */
export interface AddressServiceDependencies {
	readonly node: string;
	readonly allocator: Allocator;
	readonly store: IpamStore & { namespaceAnnotations(namespace: string): Promise<Readonly<Record<string, string>>> };
	readonly client: ApiClient;
	/** The pods of this node; a pod that is not in the copy yet is read from the server. */
	readonly pods: Informer;
	/** Called after a container has released its addresses: its block may be empty now. */
	readonly released: () => void;
	/**
	 * Families in which this node has an address. An IPv6-only node has no routes to IPv4
	 * addresses, and assigns none.
	 */
	readonly nodeFamilies?: () => readonly Family[];
	readonly log: Logger;
}

type CniHandlers = Pick<Handlers, 'cniAdd' | 'cniDelete' | 'cniCheck' | 'cniCollect' | 'cniStatus'>;

const attachment = {
	network: z.string().min(1),
	containerId: z.string().min(1),
	ifname: z.string(),
	pod: z.object({ namespace: z.string(), name: z.string(), uid: z.string().optional() }).optional(),
};
/** The parameters of the CNI endpoints. */
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
export const collectSchema = z.object({
	network: z.string().min(1),
	validAttachments: z.array(z.object({ containerId: z.string(), ifname: z.string() })),
});

/** All address endpoints of the control socket. */
export type AddressHandlers = CniHandlers & IpamHandlers & GarbageService['handlers'];

/** The endpoints while no source of addresses exists. */
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

/**
 * Assigns addresses to containers in the manner of `calico-ipam`: the same handles, attributes and
 * annotations.
 */
export function addressService({
	node,
	allocator,
	store,
	client,
	pods,
	released,
	nodeFamilies = () => [],
	log,
}: AddressServiceDependencies): CniHandlers {
	/**
	 * The requested families in which this node can have routes. @throws ControlError if there is
	 * none
	 */
	const routed = (families: readonly Family[]): readonly Family[] => {
		const own = nodeFamilies();
		const isIpv6Only = own.includes('ipv6') && !own.includes('ipv4');
		const possible = isIpv6Only ? families.filter((family) => family === 'ipv6') : families;
		if (possible.length > 0) return possible;
		throw new ControlError(
			409,
			'no-address',
			'this node has an IPv6 address alone, and the network asks for IPv4 addresses',
			'set assign_ipv6: true in the network configuration (bgpmesh-cni install --families ipv6)',
		);
	};
	/** Usually both objects are in the copies. */
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
			// The runtime's request applies to this attachment, the annotation to all attachments
			// of the pod.
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
				// A request for specific addresses gets only these, as in Calico.
				families: routed(wanted.length > 0 ? wanted : (wishes.families ?? asked.families)),
				use: 'Workload',
				...(asked.pod === undefined ? {} : { namespace: asked.pod.namespace }),
				pools: { ipv4: wishes.pools.ipv4 ?? asked.ipv4Pools, ipv6: wishes.pools.ipv6 ?? asked.ipv6Pools },
				addresses,
				...(asked.gateways === undefined ? {} : { gateways: asked.gateways }),
			});
			log.info('addresses for a container', {
				container: asked.containerId,
				pod: asked.pod && `${asked.pod.namespace}/${asked.pod.name}`,
				result,
			});
			return { ...granted(result), ...(wishes.mac === undefined ? {} : { mac: wishes.mac }) };
		},
		async cniDelete({ request }): Promise<ReleasedView> {
			const asked = parse(attachmentSchema, request) as CniAttachment;
			const addresses = [...(await release(podHandle(asked.network, asked.containerId), ofInterface(asked)))];
			// The handle of a pod under Calico v2; Calico's present plugin checks it, too.
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
					`container ${asked.containerId} holds ` +
						`${held.map(({ address }) => address).join(', ') || 'nothing'}, not ` +
						`${missing.join(', ') || 'an address'}`,
				);
			return { addresses: held };
		},
		async cniCollect({ request }): Promise<ReleasedView> {
			const asked = parse(collectSchema, request);
			const released: string[] = [];
			for (const { handleId, gone } of goneOf(await handlesOfNode(store, node, asked.network), asked))
				released.push(...(await release(handleId, gone)));
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

/** Validates a request by its schema. @throws ControlError 400 with the error */
export function parse<T>(schema: z.ZodType<T>, request: unknown): T {
	const parsed = schema.safeParse(request);
	if (parsed.success) return parsed.data;
	const [issue] = parsed.error.issues;
	throw new ControlError(
		400,
		'bad-request',
		`request.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`,
	);
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
	throw new ControlError(temporary ? 503 : 409, 'no-address', `${family}: ${reason}`, hint, {
		family,
		reason,
		temporary,
		pools,
	});
}

/** The interface attribute of an address. */
const ifnameOf = ({ ifname }: CniAttachment): Readonly<Record<string, string>> =>
	ifname === '' ? {} : { [interfaceAttribute]: ifname };

const ofInterface = ({ ifname }: Pick<CniAttachment, 'ifname'>): InterfaceMatch =>
	mayBeOf(ifname === '' ? undefined : ifname);

/** The addresses of a handle for the matching interfaces, read from the blocks. */
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
 * The orphaned addresses of these handles: all addresses of a container without valid attachments,
 * and of other containers the addresses of removed interfaces. An address without an interface
 * attribute is kept while its container has an attachment. Pure.
 */
function goneOf(
	handles: ReadonlyMap<string, ReadonlySet<string>>,
	{ network, validAttachments }: CniCollectRequest,
): readonly { readonly handleId: string; readonly gone: InterfaceMatch }[] {
	return [...handles].flatMap(([handleId, ifnames]) => {
		const valid = validAttachments
			.filter(({ containerId }) => podHandle(network, containerId) === handleId)
			.map(({ ifname }) => ifname);
		if (valid.length === 0) return [{ handleId, gone: anyInterface }];
		const gone = new Set([...ifnames].filter((ifname) => !valid.includes(ifname)));
		return gone.size === 0 ? [] : [{ handleId, gone: saidOf(gone) }];
	});
}

/**
 * The handles of a network with addresses assigned on this node, and the interfaces of these
 * addresses. Both a network name and a container ID may contain dots: a handle that may belong to
 * another network is skipped, because its owner would lose the address without notice.
 */
async function handlesOfNode(
	store: IpamStore,
	node: string,
	network: string,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
	const handles = new Map<string, Set<string>>();
	for (const { value } of (await store.blocks.list()).items)
		for (const { handleId, secondary } of value.attributes) {
			const handle = sanitizeHandle(handleId ?? '');
			// The address of a virtual machine has its own handle, NETWORK.vmi.NAMESPACE.NAME, and
			// outlives its containers; the handle of a tunnel has no network.
			const isContainers = secondary?.['type'] === undefined && secondary?.['vmi-name'] === undefined;
			if (
				!isContainers ||
				handle.slice(0, Math.max(0, handle.lastIndexOf('.'))) !== network ||
				secondary?.['node'] !== node
			)
				continue;
			const ifname = secondary[interfaceAttribute];
			handles.set(handle, new Set([...(handles.get(handle) ?? []), ...(ifname === undefined ? [] : [ifname])]));
		}
	return handles;
}

/** Formats a UTC time as Go does, in the form that Calico writes. */
function goTime(date: Date): string {
	return `${date.toISOString().replace('T', ' ').replace('Z', '')} +0000 UTC`;
}
