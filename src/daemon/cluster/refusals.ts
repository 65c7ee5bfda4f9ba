import type { Informer } from '../../kubernetes/index.ts';

/** A kind that the API server does not let this node read. */
export interface KindRefusal {
	readonly kind: string;
	/** Of this namespace alone. */
	readonly namespace?: string;
	/** The server's words: who may not do what with which resource. */
	readonly reason: string;
	/** What is missing meanwhile; absent: the node can't do without, and goes on with what it knew. */
	readonly without?: string;
}

/** Resolves with the first list, or as soon as it is known that there will be none of a kind that can be done without. */
export const listedOrDoneWithout = (informer: Pick<Informer, 'subject' | 'onSynced' | 'onAnswered'>): Promise<void> =>
	new Promise((resolve) => (informer.subject.without === undefined ? informer.onSynced(resolve) : informer.onAnswered(resolve)));

/** What is refused, each kind once. Of a namespace that does not exist nothing is missing: nobody can be given a right there. Pure. */
export function kindRefusals(
	informers: readonly Pick<Informer, 'subject' | 'refusal'>[],
	namespaces: Pick<Informer, 'synced' | 'items'>,
): readonly KindRefusal[] {
	const found = informers.flatMap(({ subject: { kind, namespace, without }, refusal }): KindRefusal[] => {
		if (refusal === undefined || (namespace !== undefined && namespaces.synced && !namespaces.items.has(namespace))) return [];
		return [{ kind: kind.kind, reason: refusal, ...(namespace === undefined ? {} : { namespace }), ...(without === undefined ? {} : { without }) }];
	});
	return [...new Map(found.map((refusal) => [`${refusal.kind} ${refusal.namespace ?? ''}`, refusal])).values()];
}
