import type { Clock } from '../core/index.ts';
import {
	type ApiClient,
	ApiError,
	coreKinds,
	type Informer,
	type NodeFacts,
	toNodeFacts,
} from '../kubernetes/index.ts';
import { until } from './patience.ts';

/**
 * Time in which the copy must catch up with another client's write, in milliseconds; and the
 * interval of the check.
 */
const catchUpMs = 2000;
const mostAttempts = 5;

export interface OwnAddressDependencies {
	readonly node: string;
	readonly client: Pick<ApiClient, 'patch'>;
	readonly nodes: Pick<Informer, 'items' | 'absorb'>;
	readonly clock: Clock;
	/** The annotations to write; `null` removes one; empty: no change is needed. */
	readonly addresses: (facts: NodeFacts) => Promise<Readonly<Record<string, string | null>>>;
}

/**
 * Writes the address annotations of a Node, and returns the written ones. Only if the copy is as
 * new as the Node itself: an address that another client has just written is not overwritten.
 * @throws ApiError, ApiUnreachableError
 */
export async function writeOwnAddresses({
	node,
	client,
	nodes,
	clock,
	addresses,
}: OwnAddressDependencies): Promise<Readonly<Record<string, string | null>>> {
	for (let attempt = 1; ; attempt++) {
		const resource = nodes.items.get(node);
		const annotations = resource === undefined ? {} : await addresses(toNodeFacts(resource));
		if (resource === undefined || Object.keys(annotations).length === 0) return {};
		const { resourceVersion } = resource;
		try {
			nodes.absorb(
				await client.patch(
					coreKinds.nodes,
					node,
					{ metadata: { resourceVersion, annotations } },
					'application/merge-patch+json',
				),
			);
			return annotations;
		} catch (error) {
			if (!(error instanceof ApiError && error.code === 409) || attempt === mostAttempts) throw error;
			await until(() => nodes.items.get(node)?.resourceVersion !== resourceVersion, catchUpMs, clock);
		}
	}
}
