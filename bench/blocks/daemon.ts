import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ControlClient } from '../../src/control/index.ts';
import { ownFlags } from '../subjects/bgpmesh.ts';
import type { Block } from './probe.ts';

const root = resolve(fileURLToPath(import.meta.url), '../../../..');

/** A daemon whose event loop is measured from inside. */
export class MeasuredDaemon {
	readonly folder = mkdtempSync(join(tmpdir(), 'bgpmesh-blocks-'));
	readonly socket = join(this.folder, 's');
	readonly client = new ControlClient(this.socket);
	readonly #child: ChildProcess;
	#log = '';

	private constructor(bgp: string) {
		this.configure(bgp);
		const probe = pathToFileURL(join(root, 'dist/bench/blocks/probe.js')).href;
		const given = [
			...ownFlags(),
			'--import',
			probe,
			join(root, 'bin/bgpmeshd.js'),
			'--config',
			join(this.folder, 'c.yaml'),
		];
		this.#child = spawn(process.execPath, given, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
		this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
			this.#log = (this.#log + text).slice(-5000);
		});
	}

	/** Starts, and resolves when it is ready. @throws Error with the end of its log */
	static async start(bgp: string): Promise<MeasuredDaemon> {
		const daemon = new MeasuredDaemon(bgp);
		while (!daemon.#log.includes(' ready ')) {
			if (daemon.#child.exitCode !== null) throw new Error(`the daemon ended:\n${daemon.#log}`);
			await new Promise((done) => setTimeout(done, 20));
		}
		await daemon.longestBlock();
		return daemon;
	}

	/** Writes the configuration; `bgp` are lines below `bgp:`, indented. A reload applies it. */
	configure(bgp: string): void {
		writeFileSync(
			join(this.folder, 'c.yaml'),
			`node: bench\nfib: { enabled: false }\ncontrol: { socket: ${this.socket} }\nlog: { format: ` +
				`text, level: info }\nbgp:\n${bgp}`,
		);
	}

	/** The longest block since the last call. */
	async longestBlock(): Promise<Block> {
		this.#child.send('read');
		// The probe sends only this.
		const [block] = (await once(this.#child, 'message')) as [Block];
		return block;
	}

	residentMiB(): number {
		const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
		return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
	}

	async stop(): Promise<void> {
		if (this.#child.exitCode === null) {
			this.#child.kill('SIGKILL');
			await once(this.#child, 'exit');
		}
		rmSync(this.folder, { recursive: true, force: true });
	}
}
