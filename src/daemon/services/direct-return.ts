import type { Clock, Logger, Timer } from '../../core/index.ts';
import { type ApiClient, coreKinds, nodeAnnotations } from '../../kubernetes/index.ts';
import type { DirectReturn } from '../../services/index.ts';
import type { VxlanMesh } from '../../vxlan/index.ts';
import type { DirectState } from './direct-state.ts';
import { directQuietMs } from './outside.ts';
import { QuietWatch } from './quiet.ts';
import type { ServicesWithSockets } from './sockets.ts';

export interface DirectReturnDependencies {
	readonly node: string;
	readonly client: Pick<ApiClient, 'patch'>;
	/** The programs of services; `undefined`: there are none. */
	readonly kernel: () => ServicesWithSockets | undefined;
	/** The device is in use: packets that come to its port must be those of nodes. */
	readonly onDevice: (isUsed: boolean) => void;
	/** The device to the other nodes, if there are programs. */
	readonly mesh: () => Pick<VxlanMesh, 'apply' | 'whenIdle'> | undefined;
	/** Programs of an earlier process take packets. */
	readonly hasEarlier: boolean;
	/** `settings` has changed. */
	readonly onSettings: () => void;
	readonly clock: Clock;
	readonly log: Logger;
}

const retryMs = 5000;

/**
 * Direct server return at this node: the device to the other nodes, which nodes get packets, and
 * the announcement that this one takes them. It is announced once the programs stand, and withdrawn
 * before they go.
 */
export class DirectReturnKeeper {
	readonly #dependencies: DirectReturnDependencies;
	#state: DirectState | undefined;
	#settings: DirectReturn | undefined;
	/** Until it is off for other nodes too. */
	readonly #ending: QuietWatch;
	#retry: Timer | undefined;
	#running: Promise<void> | undefined;
	#again = false;
	#stopped = false;
	#hasEarlier: boolean;

	constructor(dependencies: DirectReturnDependencies) {
		this.#dependencies = dependencies;
		this.#hasEarlier = dependencies.hasEarlier;
		const { clock, log, kernel } = dependencies;
		this.#ending = new QuietWatch({
			...{ clock, quietMs: directQuietMs, connections: () => kernel()?.arrivals() ?? new Set() },
			onError: (error) => log.warn('connections of other nodes not read', { reason: String(error) }),
		});
	}

	/**
	 * What the services of this node follow. After it is off, packets of nodes that do not know yet
	 * are taken.
	 */
	get settings(): DirectReturn | undefined {
		return this.#settings;
	}

	follow(state: DirectState | undefined): void {
		if (state === undefined || this.#stopped) return;
		this.#state = state;
		const { option } = state;
		if (option !== undefined) {
			this.#ending.cancel();
			this.#settings = option;
		} else if (this.#settings !== undefined && !this.#ending.isRunning)
			this.#ending.begin(() => {
				this.#settings = undefined;
				this.#dependencies.onSettings();
			});
		this.update();
	}

	/** What the programs do has changed. */
	update(): void {
		if (this.#stopped) return;
		this.#again = true;
		this.#running ??= this.#run().finally(() => {
			this.#running = undefined;
		});
	}

	/** Device, programs and announcement stay. */
	async stop(): Promise<void> {
		this.#stopped = true;
		this.#ending.cancel();
		this.#retry?.cancel();
		await this.#running;
	}

	async #run(): Promise<void> {
		while (this.#again && !this.#stopped) {
			this.#again = false;
			try {
				await this.#once();
			} catch (error) {
				this.#dependencies.log.warn('direct server return not announced', { reason: String(error) });
				this.#retry?.cancel();
				this.#retry = this.#dependencies.clock.after(retryMs, () => this.update());
			}
		}
	}

	async #once(): Promise<void> {
		const state = this.#state;
		const { kernel, client, node, log, onDevice } = this.#dependencies;
		const mesh = this.#dependencies.mesh();
		if (state === undefined) return;
		const programs = kernel();
		const isOn = state.option !== undefined;
		const usesDevice = programs === undefined ? false : programs.direct.usesDevice;
		// What an earlier process left stays until it is known what goes on.
		if (usesDevice === true) onDevice(true);
		if (usesDevice !== undefined) mesh?.apply(usesDevice ? state.mesh : { ...state.mesh, families: [] });
		await mesh?.whenIdle();
		if (usesDevice === false) onDevice(false);
		// The device has its entries: packets may be sent.
		programs?.followDirect({ isOn, nodes: state.nodes });
		const accepts = isOn && programs !== undefined ? programs.direct.accepts : false;
		if (accepts === undefined && this.#hasEarlier) return;
		this.#hasEarlier = false;
		const announced = accepts === true ? state.mac : undefined;
		if (announced === state.announced) return;
		await client.patch(
			coreKinds.nodes,
			node,
			{ metadata: { annotations: { [nodeAnnotations.directReturnMac]: announced ?? null } } },
			'application/merge-patch+json',
		);
		log.info(accepts ? 'direct server return: packets of other nodes are taken' : 'direct server return: withdrawn', {
			...(programs?.direct.reason === undefined || accepts ? {} : { reason: programs.direct.reason }),
		});
	}
}
