import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import type { Ended } from '../support/daemon.ts';

const module = resolve(fileURLToPath(import.meta.url), '../../../../test/calico');

/** The version of Calico's Go module in `test/calico/go.mod`. */
export const calicoVersion =
	/projectcalico\/calico (v\S+)/.exec(readFileSync(join(module, 'go.mod'), 'utf8'))?.[1] ?? '';

const folder = join(homedir(), '.cache/bgpmesh/calico', calicoVersion);

/** The programs that `npm run setup:calico` builds. */
export const commands = {
	calicoctl: join(folder, 'calicoctl'),
	plugin: join(folder, 'calico-ipam'),
	driver: join(folder, 'calico-driver'),
};

/** The missing ones. */
export const missingCalico: readonly string[] = Object.entries(commands).flatMap(([name, file]) =>
	existsSync(file) ? [] : [name],
);

/** Calico's own resource definitions, in the unpacked Go module. */
export const calicoDefinitions = join(
	process.env['GOMODCACHE'] ?? join(process.env['GOPATH'] ?? join(homedir(), 'go'), 'pkg/mod'),
	`github.com/projectcalico/calico@${calicoVersion}/libcalico-go/config/crd`,
);

const environment = (kubeconfig: string) => ({ ...process.env, DATASTORE_TYPE: 'kubernetes', KUBECONFIG: kubeconfig });

/** Runs `calicoctl` to its end; `input` is its standard input. */
export function calicoctl(kubeconfig: string, given: readonly string[], input = ''): Promise<Ended> {
	return new Promise((resolve) => {
		const child = execFile(
			commands.calicoctl,
			[...given, '--allow-version-mismatch'],
			{ env: environment(kubeconfig), maxBuffer: 1 << 26 },
			(_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
		);
		child.stdin?.end(input);
	});
}

/** One call of Calico's IPAM client. */
export interface CalicoRequest {
	readonly op:
		| 'autoAssign'
		| 'assignIP'
		| 'releaseByHandle'
		| 'releaseIP'
		| 'ipsByHandle'
		| 'attributes'
		| 'claimAffinity'
		| 'releaseAffinity'
		| 'releaseHostAffinities'
		| 'removeHost'
		| 'setConfig';
	readonly node?: string;
	readonly handle?: string;
	readonly attrs?: Readonly<Record<string, string>>;
	readonly num4?: number;
	readonly num6?: number;
	/** CIDRs of pools. */
	readonly pools4?: readonly string[];
	readonly pools6?: readonly string[];
	readonly maxBlocks?: number;
	readonly use?: 'Workload' | 'Tunnel';
	readonly ip?: string;
	readonly sequence?: bigint;
	readonly cidr?: string;
	/** Only empty ones. */
	readonly empty?: boolean;
	readonly strict?: boolean;
}

/** The result; with `error`, `ips` are the addresses assigned before it. */
export interface CalicoAnswer {
	readonly error: string;
	readonly ips: readonly string[];
	readonly attrs: Readonly<Record<string, string>>;
	readonly handle: string;
}

/**
 * Calico's IPAM client in a process of its own, with any number of concurrent calls. Stopped at the
 * end of the test.
 */
export class CalicoDriver {
	readonly #child: ChildProcess;
	readonly #waiting = new Map<number, (answer: CalicoAnswer) => void>();
	#last = 0;

	constructor(t: ExecutionContext, kubeconfig: string) {
		const child = spawn(commands.driver, { env: environment(kubeconfig), stdio: ['pipe', 'pipe', 'inherit'] });
		this.#child = child;
		createInterface({ input: child.stdout }).on('line', (line) => {
			// The driver's own lines: see main.go.
			const { id, ...answer } = JSON.parse(line) as { id: number } & Partial<CalicoAnswer>;
			this.#waiting.get(id)?.({ error: '', ips: [], attrs: {}, handle: '', ...answer });
			this.#waiting.delete(id);
		});
		child.once('exit', (code) => {
			for (const answer of this.#waiting.values())
				answer({ error: `the driver ended with ${code}`, ips: [], attrs: {}, handle: '' });
		});
		// A failed test may still call it.
		child.stdin.on('error', () => {});
		t.teardown(() => child.kill('SIGKILL'));
	}

	ask({ sequence, ...request }: CalicoRequest): Promise<CalicoAnswer> {
		const id = ++this.#last;
		return new Promise((resolve) => {
			this.#waiting.set(id, resolve);
			// A sequence number has more digits than a JavaScript number holds.
			const line = JSON.stringify({ id, ...request });
			this.#child.stdin?.write(`${sequence === undefined ? line : line.replace(/}$/, `,"sequence":${sequence}}`)}\n`);
		});
	}

	/** The same for calls that must succeed. @throws Error with Calico's message */
	async must(request: CalicoRequest): Promise<CalicoAnswer> {
		const answer = await this.ask(request);
		if (answer.error !== '') throw new Error(`${request.op}: ${answer.error}`);
		return answer;
	}
}
