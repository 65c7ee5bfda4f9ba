import { createServer, type Server } from 'node:http';
import type { Logger } from '../../core/index.ts';
import { answerHealthCheck, answerPlaneHealth, type HealthAnswer, type PlaneHealth } from '../decide/health.ts';
import type { HealthCheck } from '../model.ts';

export interface HealthServersDependencies {
	/** As of now; asked with each request. */
	readonly health: () => PlaneHealth;
	readonly log: Logger;
}

interface Listener {
	readonly server: Server;
	/** As of now: the answer changes while the port stays. */
	check: HealthCheck;
}

/**
 * Serves `healthCheckNodePort` of Services, and the health of the plane, over HTTP at all addresses
 * of the node.
 */
export class HealthServers {
	readonly #dependencies: HealthServersDependencies;
	readonly #listeners = new Map<string, Listener>();
	#plane: Server | undefined;
	readonly #opening = new Set<Promise<void>>();

	constructor(dependencies: HealthServersDependencies) {
		this.#dependencies = dependencies;
	}

	/** Ports that are listened at, for views and tests. */
	get ports(): readonly number[] {
		return [...this.#listeners.values()].map(({ check }) => check.port);
	}

	/**
	 * Opens, changes and closes ports so that they are those of `checks`. A port that cannot be
	 * opened is logged; the others go on.
	 */
	set(checks: ReadonlyMap<string, HealthCheck>): void {
		for (const [service, { server, check }] of this.#listeners) {
			if (checks.get(service)?.port === check.port) continue;
			this.#listeners.delete(service);
			close(server);
		}
		for (const [service, check] of checks) {
			const known = this.#listeners.get(service);
			if (known !== undefined) known.check = check;
			else this.#open(service, check);
		}
	}

	/**
	 * `/healthz` and `/livez` at a port; resolves when it listens, or when that has failed and is
	 * logged.
	 */
	async servePlane(port: number): Promise<void> {
		const server = createServer((request, response) => {
			const path = request.url?.split('?')[0];
			const answer =
				path === '/healthz' || path === '/livez'
					? answerPlaneHealth(this.#dependencies.health(), path === '/livez' ? 'livez' : 'healthz')
					: notFound;
			response.writeHead(answer.status, answer.headers).end(answer.body);
		});
		this.#plane = server;
		await this.#listen(server, port, 'health of the plane');
	}

	/** Every port is open, or has failed and is logged. */
	async whenListening(): Promise<void> {
		await Promise.all(this.#opening);
	}

	/** Closes every port. */
	stop(): void {
		for (const { server } of this.#listeners.values()) close(server);
		this.#listeners.clear();
		if (this.#plane !== undefined) close(this.#plane);
		this.#plane = undefined;
	}

	#open(service: string, check: HealthCheck): void {
		const listener: Listener = {
			check,
			server: createServer((_, response) => {
				const answer = answerHealthCheck(listener.check, this.#dependencies.health().isHealthy);
				response.writeHead(answer.status, answer.headers).end(answer.body);
			}),
		};
		this.#listeners.set(service, listener);
		void this.#listen(listener.server, check.port, service);
	}

	#listen(server: Server, port: number, subject: string): Promise<void> {
		const opening = new Promise<void>((resolve) => {
			server.on('error', (error) => {
				this.#dependencies.log.error('health check port not opened', { port, subject, error: error.message });
				resolve();
			});
			// Both families, where the kernel has both.
			server.listen(port, () => resolve());
		});
		this.#opening.add(opening);
		return opening.finally(() => this.#opening.delete(opening));
	}
}

const notFound: Omit<HealthAnswer, 'status'> & { readonly status: number } = { status: 404, headers: {}, body: '' };

function close(server: Server): void {
	server.close();
	server.closeAllConnections();
}
