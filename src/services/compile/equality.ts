import type { Frontend, FrontendAction, Pool } from '../model.ts';
import { sameBackends } from './numbers.ts';

/** Same pool, numbers of the backends included. */
export const samePool = (left: Pool, right: Pool): boolean =>
	left.affinityTimeoutSeconds === right.affinityTimeoutSeconds && sameBackends(left.backends, right.backends);

/** Two frontends of one key that a backend renders alike. */
export function sameFrontend(left: Frontend, right: Frontend): boolean {
	return (
		left.type === right.type &&
		left.servicePort === right.servicePort &&
		sameAction(left.actions.pod, right.actions.pod) &&
		sameAction(left.actions.node, right.actions.node) &&
		sameAction(left.actions.outside, right.actions.outside) &&
		left.directPool === right.directPool &&
		rangesOf(left) === rangesOf(right)
	);
}

function sameAction(left: FrontendAction, right: FrontendAction): boolean {
	if (left.type !== 'dnat' || right.type !== 'dnat') return left.type === right.type;
	return left.pool === right.pool && left.masquerade === right.masquerade;
}

const rangesOf = (frontend: Frontend): string | undefined =>
	frontend.type === 'node-port' ? undefined : frontend.sourceRanges?.join(' ');
