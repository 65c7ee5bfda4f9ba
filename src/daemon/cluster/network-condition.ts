/** The Node's condition `NetworkUnavailable`: while it is true Kubernetes schedules no pod there. */
import { isoSeconds } from '../../ipam/index.ts';
import { arrayAt, isObject, type JsonObject, textAt } from '../../kubernetes/index.ts';

export const networkConditionType = 'NetworkUnavailable';

/** What daemons of this kind say when they end: another that runs here knows better. */
const reasonsOfEnding: readonly string[] = ['CalicoIsDown', 'BgpmeshIsDown'];

/**
 * Must this node be said to have a network? At the start whatever was said before; later only against a daemon that has ended, such as
 * Calico's that this one replaces: what a cloud's controllers say then is theirs.
 */
export function mustSayUp(node: JsonObject, saidUp: boolean): boolean {
	const condition = arrayAt(node, 'status', 'conditions').find((entry) => isObject(entry) && textAt(entry, 'type') === networkConditionType);
	if (condition === undefined) return true;
	if (textAt(condition, 'status') === 'False') return false;
	return !saidUp || reasonsOfEnding.includes(textAt(condition, 'reason') ?? '');
}

/** The condition as Calico writes it, under our own name. */
export function networkCondition(state: 'up' | 'down', now: Date): JsonObject {
	const at = isoSeconds(now.getTime());
	return {
		type: networkConditionType,
		...(state === 'up'
			? { status: 'False', reason: 'BgpmeshIsUp', message: 'bgpmesh is running on this node' }
			: { status: 'True', reason: 'BgpmeshIsDown', message: 'bgpmesh has been stopped on this node' }),
		lastHeartbeatTime: at,
		lastTransitionTime: at,
	};
}
