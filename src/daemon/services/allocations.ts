import { type Block, hostAffinity, loadBalancerHost, ordinalToAddress, sanitizeHandle } from '../../ipam/index.ts';

/**
 * An address of a block of the virtual host, its handle, and its Service, if the attributes contain
 * one.
 */
export interface LoadBalancerAllocation {
	readonly handleId: string;
	readonly address: string;
	readonly service?: string;
}

/** The addresses that a block has assigned to load balancers. Pure. */
export function allocationsOf(block: Block): LoadBalancerAllocation[] {
	if (block.affinity !== hostAffinity(loadBalancerHost)) return [];
	return block.allocations.flatMap((index, ordinal): LoadBalancerAllocation[] => {
		const attribute = index === null ? undefined : block.attributes[index];
		if (attribute?.handleId === undefined || attribute.releasedAt !== undefined) return [];
		const { service, namespace } = attribute.secondary ?? {};
		return [
			{
				handleId: sanitizeHandle(attribute.handleId),
				address: ordinalToAddress(block.cidr, ordinal),
				...(service === undefined || namespace === undefined ? {} : { service: `${namespace}/${service}` }),
			},
		];
	});
}
