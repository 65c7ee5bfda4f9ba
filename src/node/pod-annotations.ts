import type { CniAttachment } from '../control/index.ts';
import {
	type Backoff,
	backoffMs,
	type Clock,
	ConcurrencyLimit,
	KeyedLock,
	type Logger,
	type Random,
} from '../core/index.ts';
import type { JsonObject } from '../json/index.ts';
import { type ApiClient, ApiError, coreKinds, type Informer, type PatchType } from '../kubernetes/index.ts';

const prefix = 'cni.projectcalico.org/';
/** The interface of the pod's own network; those of further networks are not annotated. */
const mainInterface = 'eth0';
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const retryBackoff: Backoff = { firstMs: 200, mostMs: 5000 };
const mostAttempts = 8;
/** Writes at a time: when many pods start, their addresses come first. */
const mostWrites = 2;

/** The inputs of the annotations of pods. */
export interface PodAnnotationsDependencies {
	readonly client: Pick<ApiClient, 'patch'>;
	/** The pods of this node. */
	readonly pods: Pick<Informer, 'items'>;
	readonly clock: Clock;
	readonly random: Random;
	readonly log: Logger;
}

/**
 * The addresses of a pod in its annotations, as Calico's plugin writes them: policy and sessions of
 * other nodes have them before the kubelet writes the status, which takes seconds. ADD does not
 * wait for them: other nodes receive them by their watch in either case. The writes of one pod are
 * made in order.
 */
export class PodAnnotations {
	readonly #dependencies: PodAnnotationsDependencies;
	readonly #lock = new KeyedLock();
	readonly #limit = new ConcurrencyLimit(mostWrites);
	/** By pod: the container that was attached last. An attempt for another one is given up. */
	readonly #current = new Map<string, string>();
	#isRefused = false;

	constructor(dependencies: PodAnnotationsDependencies) {
		this.#dependencies = dependencies;
	}

	/** Writes the addresses of a new interface. Never rejects: failures are repeated, then logged. */
	async attached({ pod, containerId, ifname }: CniAttachment, addresses: readonly string[]): Promise<void> {
		if (pod === undefined || ifname !== mainInterface) return;
		const prefixes = addresses.map((address) => `${address}/${address.includes(':') ? 128 : 32}`);
		const known = this.#dependencies.pods.items.get(keyOf(pod));
		// A static pod: the runtime has the uid of the kubelet's file, the server that of the mirror.
		const isMirror = pod.uid !== undefined && known?.annotations[mirrorAnnotation] === pod.uid;
		const uid = isMirror ? known.uid : (pod.uid ?? known?.uid);
		const annotations = {
			[`${prefix}containerID`]: containerId,
			[`${prefix}podIP`]: prefixes[0] ?? '',
			[`${prefix}podIPs`]: prefixes.join(','),
		};
		// Another incarnation of the pod has another uid: the server rejects the patch.
		const patch = { metadata: { ...(uid === undefined || uid === '' ? {} : { uid }), annotations } };
		this.#current.set(keyOf(pod), containerId);
		await this.#write({ pod, containerId }, patch, 'application/strategic-merge-patch+json');
	}

	/**
	 * Empties the addresses, if they are still those of this container: readers then know that a
	 * pod in deletion has given up its address. Never rejects.
	 */
	async detached({ pod, containerId, ifname }: CniAttachment): Promise<void> {
		if (pod === undefined || ifname !== mainInterface) return;
		if (this.#current.get(keyOf(pod)) === containerId) this.#current.delete(keyOf(pod));
		// Usually the kubelet deletes the pod after its sandbox.
		if (this.#dependencies.pods.items.get(keyOf(pod)) === undefined) return;
		const at = (name: string) => `/metadata/annotations/${prefix.replace('/', '~1')}${name}`;
		const patch = [
			{ op: 'test', path: at('containerID'), value: containerId },
			{ op: 'add', path: at('podIP'), value: '' },
			{ op: 'add', path: at('podIPs'), value: '' },
		];
		// A JSON patch is a list; the client sends any JSON.
		await this.#write({ pod, containerId }, patch as unknown as JsonObject, 'application/json-patch+json');
	}

	async #write(
		{ pod, containerId }: { readonly pod: NonNullable<CniAttachment['pod']>; readonly containerId: string },
		patch: JsonObject,
		type: PatchType,
	): Promise<void> {
		const { client, clock, random, log } = this.#dependencies;
		const key = keyOf(pod);
		const isAttach = this.#current.get(key) === containerId;
		await this.#lock.run(key, async () => {
			for (let attempt = 1; ; attempt++) {
				if (isAttach && this.#current.get(key) !== containerId) return;
				try {
					await this.#limit.run(() =>
						client.patch(coreKinds.pods, pod.name, patch, type, {
							namespace: pod.namespace,
							subresource: 'status',
						}),
					);
					this.#isRefused = false;
					return;
				} catch (error) {
					const outcome = outcomeOf(error);
					if (outcome === 'meaningless') return;
					if (outcome === 'refused' || !isAttach || attempt === mostAttempts) {
						const reason = error instanceof Error ? error.message : String(error);
						// One line for a missing permission, not one for each pod.
						if (outcome !== 'refused' || !this.#isRefused)
							log.warn('addresses of a pod are not in its annotations', { pod: key, reason });
						this.#isRefused = outcome === 'refused';
						return;
					}
				}
				await new Promise<void>((resolve) => void clock.after(backoffMs(retryBackoff, attempt, random), resolve));
			}
		});
	}
}

const keyOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }) => `${namespace}/${name}`;

/**
 * `meaningless`: the pod is gone, is another incarnation, or has another container by now (409,
 * 422: a precondition or a `test` of the patch does not hold).
 */
function outcomeOf(error: unknown): 'meaningless' | 'refused' | 'failed' {
	if (!(error instanceof ApiError)) return 'failed';
	if ([404, 409, 422].includes(error.code)) return 'meaningless';
	return error.code === 403 ? 'refused' : 'failed';
}
