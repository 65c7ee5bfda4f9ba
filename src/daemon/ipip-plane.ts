import type { DataPlane, PlaneView } from '../core/index.ts';
import type { TunnelPool } from '../encapsulation/index.ts';
import type { IpipMesh } from '../ipip/index.ts';

export interface IpipState {
	readonly pools: readonly TunnelPool[];
	/** Addresses of tunl0, canonical text; `undefined`: none. */
	readonly address: string | undefined;
	/** `undefined`: what the host's interfaces allow, less 20. */
	readonly mtuBytes: number | undefined;
}

/** The IP-in-IP device as a data plane. */
export class IpipPlane implements DataPlane<IpipState> {
	readonly name = 'ipip';
	readonly #mesh: IpipMesh;

	constructor(mesh: IpipMesh) {
		this.#mesh = mesh;
	}

	apply({ pools, address, mtuBytes }: IpipState): void {
		void this.#mesh.setMtu(mtuBytes);
		void this.#mesh.setTunnelAddresses(address === undefined ? [] : [address]);
		void this.#mesh.setPools(pools);
	}

	/** This plane sweeps nothing. */
	inSync(): void {}

	view(): PlaneView {
		const { needed, problem, deviceName } = this.#mesh;
		const isRight = needed && problem === undefined;
		return {
			name: this.name,
			enabled: true,
			inSync: !needed || isRight,
			waitingFor: [],
			desired: needed ? 1 : 0,
			installed: isRight ? 1 : 0,
			differences: needed && !isRight ? [{ subject: deviceName, state: 'failed' }] : [],
			failures:
				needed && problem !== undefined ? [{ subject: deviceName, reason: problem, kind: 'device' as const }] : [],
		};
	}

	whenIdle(): Promise<void> {
		return this.#mesh.whenIdle();
	}

	stop(): Promise<void> {
		return this.#mesh.stop();
	}
}
