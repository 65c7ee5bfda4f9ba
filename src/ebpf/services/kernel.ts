import { closeSync, openSync } from 'node:fs';
import { SystemCallError } from '../../linux/index.ts';
import type { Frontend, ServicesDifference, ServicesModel } from '../../services/index.ts';
import { Attributes, Command, openPinnedLink, tryBpf } from '../kernel/call.ts';
import type { Pins } from '../kernel/pins.ts';
import { LoadedProgram } from '../kernel/program.ts';
import { frontendBytes, frontendElement, type MapElement, poolElements, type SocketMaps } from './maps.ts';
import { compileSocketProgram, type SocketHook, socketHooks } from './program.ts';

export interface SocketServicesDependencies {
	readonly maps: SocketMaps;
	/** Links are pinned here and survive the process; without pins they end with it. */
	readonly pins?: Pins;
	/** Directory of the cgroup (version 2) whose processes are served, with those below it. */
	readonly cgroup: string;
	/** See `SocketProgramOptions`. */
	readonly nodeCookie: bigint | undefined;
}

const elementMaps = ['svc_backends', 'svc_members', 'svc_frontends'] as const;
/** Names of pins of links begin with this. */
export const socketLinkPrefix = 'sockets_';

/**
 * Cluster IPs at the sockets of pods and of the node: `connect` goes to a backend at once, and no
 * packet is translated. What it does not know is left to the rules of nftables, which stand beside
 * it.
 */
export class SocketServices {
	readonly #dependencies: SocketServicesDependencies;
	readonly #links = new Map<SocketHook, number>();

	constructor(dependencies: SocketServicesDependencies) {
		this.#dependencies = dependencies;
	}

	/**
	 * Loads the programs and puts them at the hooks; programs of an earlier process are replaced.
	 * @throws SystemCallError, VerifierError
	 */
	attach(): void {
		const { maps, cgroup, nodeCookie } = this.#dependencies;
		const programs = new Map<SocketHook, LoadedProgram>();
		try {
			for (const hook of Object.keys(socketHooks) as SocketHook[])
				programs.set(
					hook,
					LoadedProgram.load(compileSocketProgram({ hook, nodeCookie }), {
						...{ name: hook, type: 'cgroupSockAddr', maps, expectedAttachType: socketHooks[hook] },
					}),
				);
			const directory = openSync(cgroup, 'r');
			try {
				for (const [hook, program] of programs) this.#link(hook, program, directory);
			} finally {
				closeSync(directory);
			}
		} finally {
			for (const program of programs.values()) program.close();
		}
	}

	/** Reads the maps and makes them hold this model and nothing else. @throws SystemCallError */
	sync(model: ServicesModel): void {
		const desired = new Map<string, MapElement>();
		const add = (element: MapElement | undefined) => {
			if (element !== undefined) desired.set(idOf(element), element);
		};
		for (const pool of model.pools.values()) poolElements(pool).forEach(add);
		for (const frontend of model.frontends.values()) add(frontendElement(frontend, model.pools));
		const stale: { readonly map: MapElement['map']; readonly key: Uint8Array }[] = [];
		for (const map of elementMaps)
			for (const key of this.#map(map).keys()) if (!desired.has(idOf({ map, key }))) stale.push({ map, key });
		// Backends before the frontends that count them; what is stale last.
		for (const map of elementMaps)
			for (const element of desired.values()) if (element.map === map) this.#map(map).set(element.key, element.value);
		for (const { map, key } of stale.reverse()) this.#map(map).delete(key);
	}

	/** A difference to the model before. @throws SystemCallError; then only `sync` may follow */
	apply({ pools, frontends }: ServicesDifference, model: ServicesModel): void {
		const surplus: MapElement[] = [];
		const changed = new Set<string>();
		for (const { before, after } of pools.set) {
			changed.add(after.key);
			const next = poolElements(after);
			const kept = new Set(next.map(idOf));
			for (const { map, key, value } of next) this.#map(map).set(key, value);
			if (before !== undefined) surplus.push(...poolElements(before).filter((element) => !kept.has(idOf(element))));
		}
		const put = (element: MapElement | undefined) => {
			if (element !== undefined) this.#map(element.map).set(element.key, element.value);
		};
		for (const { after } of frontends.set) {
			const element = frontendElement(after, model.pools);
			put(element);
			if (element === undefined) this.#forget(after);
		}
		// The number of backends is part of the frontend.
		for (const frontend of model.frontends.values())
			if (Object.values(frontend.actions).some((action) => action.type === 'dnat' && changed.has(action.pool)))
				put(frontendElement(frontend, model.pools));
		for (const frontend of frontends.removed) this.#forget(frontend);
		for (const { map, key } of [...surplus, ...pools.removed.flatMap(poolElements)]) this.#map(map).delete(key);
	}

	close(): void {
		for (const link of this.#links.values()) closeSync(link);
		this.#links.clear();
	}

	#forget(frontend: Frontend): void {
		const key = frontendBytes(frontend);
		if (key !== undefined) this.#map('svc_frontends').delete(key);
	}

	#map(name: MapElement['map']) {
		const map = this.#dependencies.maps.get(name);
		if (map === undefined) throw new RangeError(`the map ${name} is missing`);
		return map;
	}

	#link(hook: SocketHook, program: LoadedProgram, directory: number): void {
		const { pins } = this.#dependencies;
		const name = `${socketLinkPrefix}${hook}`;
		const existing = this.#links.get(hook) ?? (pins === undefined ? undefined : openPinnedLink(pins.path(name)));
		if (existing !== undefined) {
			this.#links.set(hook, existing);
			const result = tryBpf(Command.linkUpdate, new Attributes().u32(0, existing).u32(4, program.fd), 16);
			if (result >= 0) return;
			// The cgroup that the link belonged to is gone.
			closeSync(existing);
			this.#links.delete(hook);
			pins?.remove(name);
		}
		const attributes = new Attributes().u32(0, program.fd).u32(4, directory).u32(8, socketHooks[hook]);
		const link = tryBpf(Command.linkCreate, attributes, 64);
		if (link < 0) throw new SystemCallError(`bpf: attach ${hook} to the cgroup`, -link);
		this.#links.set(hook, link);
		pins?.pin(name, link);
	}
}

const idOf = ({ map, key }: Pick<MapElement, 'map' | 'key'>): string => `${map} ${Buffer.from(key).toString('latin1')}`;
