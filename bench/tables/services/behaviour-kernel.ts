/**
 * Cases of `services-behaviour.jsonl` by the product's plane in a namespace of its own, with real
 * packets.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ipBatch, removeNamespace } from '../../../lab/frames/namespaces.ts';
import type { Cell } from '../../../lab/truth-table.ts';
import { systemEnvironment } from '../../../src/linux/index.ts';
import type { BehaviourCase } from './cases.ts';

const program = resolve(fileURLToPath(import.meta.url), '../behaviour-process.js');

/** The process that judges; it starts with the first case. */
export class KernelBehaviour {
	readonly #namespace: string;
	#child: ChildProcess | undefined;

	constructor(namespace: string) {
		this.#namespace = namespace;
	}

	/** @throws Error with what the process reports */
	async judge(item: BehaviourCase): Promise<readonly Cell[] | { readonly skip: string }> {
		if (item.kind === 'conntrack' && !hasConntrackTool()) return { skip: 'the tool conntrack is not installed' };
		this.#child ??= await this.#start();
		this.#child.send(item);
		const answer = await this.#answer(this.#child);
		if (answer.judged === undefined) throw new Error(`${item.id}: ${answer.error ?? 'no answer'}`);
		return answer.judged;
	}

	/** Resolves when the process has ended: its cgroup can be removed. */
	async close(): Promise<void> {
		const child = this.#child;
		if (child !== undefined && child.exitCode === null) {
			const ended = new Promise((resolve) => child.once('exit', resolve));
			if (child.connected) child.disconnect();
			await ended;
		}
		removeNamespace(this.#namespace);
	}

	async #start(): Promise<ChildProcess> {
		removeNamespace(this.#namespace);
		ipBatch([`netns add ${this.#namespace}`]);
		const child = spawn('ip', ['netns', 'exec', this.#namespace, process.execPath, program], {
			stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
			env: systemEnvironment(),
		});
		const { error } = await this.#answer(child);
		if (error !== undefined) throw new Error(error);
		return child;
	}

	/** The next message, or the end of the process. */
	#answer(child: ChildProcess): Promise<Answer> {
		return new Promise((resolve) => {
			const answered = (answer: Answer) => {
				child.off('exit', ended);
				resolve(answer);
			};
			const ended = (code: number | null) => {
				child.off('message', answered);
				resolve({ error: `the process ended with ${code}` });
			};
			child.once('message', answered);
			child.once('exit', ended);
		});
	}
}

interface Answer {
	readonly judged?: readonly Cell[] | { readonly skip: string };
	readonly error?: string;
}

function hasConntrackTool(): boolean {
	try {
		execFileSync('conntrack', ['--version'], { stdio: 'ignore', env: systemEnvironment() });
		return true;
	} catch {
		return false;
	}
}
