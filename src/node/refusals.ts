import type { Informer } from '../kubernetes/index.ts';

/** A kind that this node has no permission to read. */
export interface KindRefusal {
	readonly kind: string;
	/** Only in this namespace. */
	readonly namespace?: string;
	/** The server's message with user, verb and resource. */
	readonly reason: string;
	/**
	 * The lost function; absent: the kind is required, and the node continues with its last known
	 * state.
	 */
	readonly without?: string;
}

/**
 * Resolves with the first list, or for an optional kind as soon as its list is denied or absent.
 */
export const listedOrDoneWithout = (informer: Pick<Informer, 'subject' | 'onSynced' | 'onAnswered'>): Promise<void> =>
	new Promise((resolve) =>
		informer.subject.without === undefined ? informer.onSynced(resolve) : informer.onAnswered(resolve),
	);

/**
 * The denied kinds, each once. A namespace that does not exist is skipped: no role can grant access
 * to it. Pure.
 */
export function kindRefusals(
	informers: readonly Pick<Informer, 'subject' | 'refusal'>[],
	namespaces: Pick<Informer, 'synced' | 'items'>,
): readonly KindRefusal[] {
	const found = informers.flatMap(({ subject: { kind, namespace, without }, refusal }): KindRefusal[] => {
		if (refusal === undefined || (namespace !== undefined && namespaces.synced && !namespaces.items.has(namespace)))
			return [];
		return [
			{
				kind: kind.kind,
				reason: refusal,
				...(namespace === undefined ? {} : { namespace }),
				...(without === undefined ? {} : { without }),
			},
		];
	});
	return [...new Map(found.map((refusal) => [`${refusal.kind} ${refusal.namespace ?? ''}`, refusal])).values()];
}
