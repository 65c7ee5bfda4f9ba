import type { ConntrackFlow, ConntrackKernel, Frontend, Pool, ServiceKernel } from '../../src/services/index.ts';

/**
 * A kernel of services in memory. Refuses as the real one: a frontend whose pool is missing, a
 * change of a missing object.
 */
export class FakeServiceKernel implements ServiceKernel {
	readonly name = 'fake';
	readonly pools = new Map<string, Pool>();
	readonly frontends = new Map<string, Frontend>();
	/** `sync` or `apply`, in order. */
	readonly calls: string[] = [];
	/** The next writes fail with these errors. */
	readonly failures: Error[] = [];

	numbers: ServiceKernel['numbers'] = () =>
		Promise.resolve(new Map([...this.pools].map(([key, { backends }]) => [key, backends])));

	sync: ServiceKernel['sync'] = async (model) => {
		this.calls.push('sync');
		await this.#mayFail();
		const removed = [...this.pools.keys()].filter((key) => !model.pools.has(key)).length;
		this.pools.clear();
		this.frontends.clear();
		for (const [key, pool] of model.pools) this.pools.set(key, pool);
		for (const frontend of model.frontends.values()) this.#setFrontend(frontend);
		return { added: model.frontends.size, removed };
	};

	apply: ServiceKernel['apply'] = async ({ pools, frontends }) => {
		this.calls.push('apply');
		await this.#mayFail();
		for (const { before, after } of pools.set) {
			if (this.pools.has(after.key) !== (before !== undefined)) throw new Error(`EEXIST or ENOENT: ${after.key}`);
			this.pools.set(after.key, after);
		}
		for (const { after } of frontends.set) this.#setFrontend(after);
		for (const { key } of frontends.removed) if (!this.frontends.delete(key)) throw new Error(`ENOENT: ${key}`);
		for (const { key } of pools.removed) {
			if ([...this.frontends.values()].some((frontend) => poolsOf(frontend).includes(key)))
				throw new Error(`EBUSY: ${key}`);
			if (!this.pools.delete(key)) throw new Error(`ENOENT: ${key}`);
		}
	};

	remove: ServiceKernel['remove'] = () => {
		this.pools.clear();
		this.frontends.clear();
		return Promise.resolve();
	};

	#setFrontend(frontend: Frontend): void {
		for (const key of poolsOf(frontend)) if (!this.pools.has(key)) throw new Error(`ENOENT: pool ${key}`);
		this.frontends.set(frontend.key, frontend);
	}

	async #mayFail(): Promise<void> {
		await Promise.resolve();
		const failure = this.failures.shift();
		if (failure !== undefined) throw failure;
	}
}

const poolsOf = ({ actions }: Frontend): string[] =>
	Object.values(actions).flatMap((action) => (action.type === 'dnat' ? [action.pool] : []));

/** Connections in memory. */
export class FakeConntrack implements ConntrackKernel {
	flows: ConntrackFlow[] = [];

	udpFlows(): Promise<readonly ConntrackFlow[]> {
		return Promise.resolve([...this.flows]);
	}

	remove(flows: readonly ConntrackFlow[]): Promise<number> {
		const before = this.flows.length;
		this.flows = this.flows.filter((flow) => !flows.includes(flow));
		return Promise.resolve(before - this.flows.length);
	}
}
