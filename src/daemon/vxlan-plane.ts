import { type DataPlane, mostDifferences, type PlaneView } from '../core/index.ts';
import type { VxlanMesh, VxlanState } from '../vxlan/index.ts';

/** The VXLAN devices with their entries as a data plane. */
export class VxlanPlane implements DataPlane<VxlanState> {
	readonly name: string;
	readonly #mesh: VxlanMesh;

	constructor(mesh: VxlanMesh, name = 'vxlan') {
		this.#mesh = mesh;
		this.name = name;
	}

	apply(state: VxlanState): void {
		this.#mesh.apply(state);
	}

	/**
	 * Entries of removed nodes are removed with the next state: Nodes are complete before the first
	 * one.
	 */
	inSync(): void {}

	view(): PlaneView {
		const { desired, installed, failures } = this.#mesh.counts();
		return {
			name: this.name,
			enabled: true,
			inSync: installed === desired,
			waitingFor: [],
			desired,
			installed,
			differences: failures.slice(0, mostDifferences).map(({ subject }) => ({ subject, state: 'failed' })),
			failures: failures.slice(0, mostDifferences),
		};
	}

	whenIdle(): Promise<void> {
		return this.#mesh.whenIdle();
	}

	stop(): Promise<void> {
		return this.#mesh.stop();
	}
}
