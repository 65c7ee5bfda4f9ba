/** Programs at the interface to the outside as translator of a `ServiceNode`. */
import { inside } from '../../../lab/frames/sockets.ts';
import {
	InterfaceServices,
	type NatMaps,
	natPurpose,
	openNatMaps,
	openSocketMaps,
	type SocketMaps,
	SocketServices,
	TcxAttacher,
} from '../../../src/ebpf/index.ts';
import { loadRuleset } from '../../../src/linux/index.ts';
import { Mark, NftablesServices } from '../../../src/nftables/index.ts';
import type { Backend, Frontend, FrontendAction, ServicesModel } from '../../../src/services/index.ts';
import type { PreparedCase } from './cases.ts';
import type { Translator } from './nftables.ts';

/**
 * The programs have the services of a case. The rules beside them, which masquerade and reject, do
 * something else with every packet from outside that the programs must judge: what passes the
 * programs shows as a wrong verdict.
 */
export class OutsideTranslator implements Translator {
	readonly #rules: NftablesServices;
	readonly #pools: SocketMaps;
	readonly #maps: NatMaps;
	readonly #services: InterfaceServices;
	readonly #writer: SocketServices;
	readonly #spoil: (backend: Backend) => Backend;
	readonly #attached: Promise<void>;

	constructor(namespace: string, interfaceIndex: number, spoil: (backend: Backend) => Backend) {
		this.#spoil = spoil;
		this.#rules = inside(
			namespace,
			() => new NftablesServices({ load: (rules) => inside(namespace, () => loadRuleset(rules)) }),
		);
		this.#pools = openSocketMaps(undefined, { frontends: 1024, backends: 4096, sockets: 64 });
		this.#maps = openNatMaps(undefined, { frontends: 1024, sources: 1024, flows: 65_536 });
		const attacher = new TcxAttacher({ purpose: natPurpose, inside: (act) => inside(namespace, act) });
		this.#services = new InterfaceServices({
			maps: this.#maps,
			pools: this.#pools,
			attacher,
			masqueradeMark: Mark.masquerade,
		});
		// Its programs are not attached: it writes the pools.
		this.#writer = new SocketServices({ maps: this.#pools, cgroup: '', nodeCookie: undefined });
		this.#attached = this.#services.attach([{ index: interfaceIndex, name: 'eth0' }]);
	}

	async apply({ model }: PreparedCase): Promise<void> {
		await this.#attached;
		await this.#rules.sync(misled(model));
		const pools = [...model.pools].map(
			([key, pool]) => [key, { ...pool, backends: pool.backends.map(this.#spoil) }] as const,
		);
		const spoiled = { ...model, pools: new Map(pools) };
		this.#writer.sync(spoiled);
		this.#services.sync(spoiled);
		for (const name of ['nat_flows', 'nat_reverse', 'nat_affinity'] as const) this.#clear(name);
	}

	async forgetClients(): Promise<void> {
		await this.#rules.forgetAllClients();
		this.#clear('nat_affinity');
	}

	async close(): Promise<void> {
		await this.#services.detach();
		this.#services.close();
		for (const map of [...this.#maps.values(), ...this.#pools.values()]) map.close();
		this.#rules.close();
	}

	#clear(name: 'nat_flows' | 'nat_reverse' | 'nat_affinity'): void {
		const map = this.#maps.get(name);
		for (const key of [...(map?.keys() ?? [])]) map?.delete(key);
	}
}

/**
 * Packets from outside that are translated are dropped instead, and those that are dropped are
 * translated, where there is a pool.
 */
function misled(model: ServicesModel): ServicesModel {
	const other = ({ pod, outside }: Frontend['actions']): FrontendAction =>
		outside.type === 'dnat' ? { type: 'drop' } : outside.type === 'drop' && pod.type === 'dnat' ? pod : outside;
	return {
		...model,
		frontends: new Map(
			[...model.frontends].map(([key, frontend]) =>
				frontend.protocol === 'sctp'
					? [key, frontend]
					: [key, { ...frontend, actions: { ...frontend.actions, outside: other(frontend.actions) } }],
			),
		),
	};
}
