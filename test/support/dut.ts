import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ControlClient, ControlError, NoDaemonError } from '../../src/control/index.ts';
import type { PeerView, RouteView } from '../../src/core/index.ts';
import { DaemonProcess } from './peers/process.ts';

const bin = resolve(dirname(fileURLToPath(import.meta.url)), '../../../bin/bgpmeshd.js');

/** Is there a daemon to test? */
export const hasDaemon = (): boolean => existsSync(bin);

/**
 * Our own daemon under test, started as a user does, with a configuration file and a control socket
 * in `folder`.
 */
export class Dut {
	readonly client: ControlClient;
	readonly #folder: string;
	readonly #namespace: string | undefined;
	#process: DaemonProcess | undefined;

	private constructor(folder: string, namespace: string | undefined) {
		this.#folder = folder;
		this.#namespace = namespace;
		this.client = new ControlClient(join(folder, 'bgpmesh.sock'));
	}

	/**
	 * `config` is the file's content; socket and log are added, and the daemon programs no routes.
	 */
	static async start(folder: string, config: Readonly<Record<string, unknown>>, namespace?: string): Promise<Dut> {
		const dut = new Dut(folder, namespace);
		const socket = join(folder, 'bgpmesh.sock');
		await writeFile(
			join(folder, 'bgpmesh.yaml'),
			stringify({
				node: 'dut',
				fib: { enabled: false },
				control: { socket },
				log: { level: 'debug', format: 'text' },
				...config,
			}),
		);
		dut.start();
		return dut;
	}

	/** Starts it again with the same configuration. */
	start(): void {
		const command = [process.execPath, bin, '--config', join(this.#folder, 'bgpmesh.yaml')];
		this.#process = new DaemonProcess(command, join(this.#folder, 'bgpmesh.log'), {
			namespace: this.#namespace,
			age: 'host',
		});
	}

	/** One neighbour; `undefined` while the daemon does not respond. */
	async peer(name: string): Promise<PeerView | undefined> {
		return this.client.ask('peer', { peer: name }).catch(absent);
	}

	/** Paths received from a neighbour; none while the daemon does not respond. */
	async received(peer: string): Promise<readonly RouteView[]> {
		const answer = await this.client.ask('routes', { received: peer, limit: 0 }).catch(absent);
		return answer?.routes ?? [];
	}

	/** Only usable paths: some peers send our own routes back to us. */
	async eligible(peer: string): Promise<readonly RouteView[]> {
		return (await this.received(peer)).filter(({ ineligible }) => ineligible === undefined);
	}

	/** Started, and neither exited nor stopped. */
	get running(): boolean {
		return this.#process?.running ?? false;
	}

	async stop(): Promise<void> {
		await this.#process?.end('SIGTERM');
	}

	/** As in a power failure. */
	async kill(): Promise<void> {
		await this.#process?.end('SIGKILL');
	}

	log(): string {
		return this.#process?.log() ?? '';
	}
}

function absent(error: unknown): undefined {
	if (error instanceof NoDaemonError || error instanceof ControlError) return undefined;
	throw error;
}
