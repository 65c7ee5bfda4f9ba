import { isDeepStrictEqual } from 'node:util';
import { type Family, type PrefixKey, parsePrefix, podInterfacePrefix } from '../core/index.ts';
import type { ForeignRoute } from './kernel.ts';

type NormalMetrics = Readonly<Record<Family, number>>;

interface ElevatedRoute {
	readonly family: Family;
	readonly device: string | undefined;
	readonly metric: number;
}

/** The metric is lower than normal. 0 is the value of CNI plugins that set none. */
const isElevated = ({ family, device, metric }: ElevatedRoute, normal: NormalMetrics): boolean =>
	device?.startsWith(podInterfacePrefix) === true && metric > 0 && metric < normal[family];

/**
 * Host routes to local workloads with a lower metric than normal: Felix writes them while a virtual
 * machine arrives from another node (Calico 3.32, `ipv4ElevatedRoutePriority`). Of several to one
 * address the lowest metric counts. Pure.
 */
export function findElevated(foreign: readonly ForeignRoute[], normal: NormalMetrics): Map<PrefixKey, number> {
	const metrics = new Map<PrefixKey, number>();
	for (const route of foreign) {
		const { prefix, via, metric } = route;
		if (via !== undefined || !isElevated(route, normal)) continue;
		const { length, bytes } = parsePrefix(prefix);
		if (length === bytes.length * 8) metrics.set(prefix, Math.min(metric, metrics.get(prefix) ?? metric));
	}
	return metrics;
}

/** Reports the elevated routes when they change. */
export class Elevated {
	#normal: NormalMetrics;
	readonly #onChange: ((metrics: ReadonlyMap<PrefixKey, number>) => void) | undefined;
	#last: ReadonlyMap<PrefixKey, number> = new Map();

	constructor(normal: NormalMetrics, onChange: ((metrics: ReadonlyMap<PrefixKey, number>) => void) | undefined) {
		this.#normal = normal;
		this.#onChange = onChange;
	}

	/**
	 * Sets the metrics of ordinary routes. `true`: they changed, and the routes must be read again.
	 */
	setNormal(normal: NormalMetrics): boolean {
		if (isDeepStrictEqual(normal, this.#normal)) return false;
		this.#normal = normal;
		return this.#onChange !== undefined;
	}

	/** True if a change of this route requires a new read of the foreign routes. */
	concerns(route: ElevatedRoute): boolean {
		return this.#onChange !== undefined && isElevated(route, this.#normal);
	}

	/** Evaluates the foreign routes. */
	look(foreign: readonly ForeignRoute[]): void {
		if (this.#onChange === undefined) return;
		const found = findElevated(foreign, this.#normal);
		if (isDeepStrictEqual(found, this.#last)) return;
		this.#last = found;
		this.#onChange(found);
	}
}
