import type { Backend, Pool } from '../model.ts';

/**
 * The meaning of session affinity, connection by connection: what a backend's table of clients must
 * do. One table serves a service port; its pools share it. Times in seconds of any one clock.
 */
export class AffinityTable {
	readonly #remembered = new Map<string, { readonly backend: string; readonly atSeconds: number }>();

	/** The backend of a new connection. `draw` gives a number from 0 to below its argument. */
	connect(pool: Pool, client: string, nowSeconds: number, draw: (below: number) => number): Backend | undefined {
		const timeout = pool.affinityTimeoutSeconds;
		const key = `${pool.servicePort} ${client}`;
		const known = timeout === undefined ? undefined : this.#remembered.get(key);
		const kept =
			known === undefined || nowSeconds - known.atSeconds >= (timeout ?? 0)
				? undefined
				: pool.backends.find((backend) => keyOf(backend) === known.backend);
		const backend = kept ?? pool.backends[draw(pool.backends.length)];
		// Each new connection renews the time-out, but only towards a backend of the pool
		// (kubernetes/kubernetes 110302).
		if (backend !== undefined && timeout !== undefined)
			this.#remembered.set(key, { backend: keyOf(backend), atSeconds: nowSeconds });
		return backend;
	}
}

const keyOf = ({ address, port }: Backend): string => `${address} ${port}`;
