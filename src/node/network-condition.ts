/**
 * The Node's condition `NetworkUnavailable`: while it is true Kubernetes schedules no pod there.
 */
import { isoSeconds } from '../ipam/index.ts';
import { arrayAt, isObject, type JsonObject, textAt } from '../json/index.ts';

export const networkConditionType = 'NetworkUnavailable';

/** Reasons that a daemon of this kind sets when it ends. A running daemon overrides them. */
const reasonsOfEnding: readonly string[] = ['CalicoIsDown', 'BgpmeshIsDown', 'BgpmeshHasProblem'];

/**
 * True if the condition must be set to available. At the start always; later only if an ended
 * daemon set it, such as a replaced Calico. Conditions that cloud controllers set later are not
 * changed.
 */
export function mustSayUp(node: JsonObject, saidUp: boolean): boolean {
	const condition = arrayAt(node, 'status', 'conditions').find(
		(entry) => isObject(entry) && textAt(entry, 'type') === networkConditionType,
	);
	if (condition === undefined) return true;
	if (textAt(condition, 'status') === 'False') return false;
	return !saidUp || reasonsOfEnding.includes(textAt(condition, 'reason') ?? '');
}

/**
 * `up`: pods have a network here; `down`: the daemon has ended; otherwise the problem of a running
 * daemon.
 */
export type NetworkState = 'up' | 'down' | { readonly problem: string };

/** Maximum length of a message; the API server accepts 32768 characters. */
const longestMessage = 1000;

/** The condition as Calico writes it, with our own reason. */
export function networkCondition(state: NetworkState, now: Date): JsonObject {
	const at = isoSeconds(now.getTime());
	if (typeof state === 'object')
		return {
			type: networkConditionType,
			status: 'True',
			reason: 'BgpmeshHasProblem',
			message: state.problem.slice(0, longestMessage),
			lastHeartbeatTime: at,
			lastTransitionTime: at,
		};
	return {
		type: networkConditionType,
		...(state === 'up'
			? { status: 'False', reason: 'BgpmeshIsUp', message: 'bgpmesh is running on this node' }
			: { status: 'True', reason: 'BgpmeshIsDown', message: 'bgpmesh has been stopped on this node' }),
		lastHeartbeatTime: at,
		lastTransitionTime: at,
	};
}
