import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemEnvironment } from '../../src/linux/index.ts';

/** The program that `npm run setup:felix` builds, of the version in `go.mod`. */
export function felixProgram(): string {
	const module = resolve(fileURLToPath(import.meta.url), '../../../../test/felix');
	const version = /projectcalico\/calico (v\S+)/.exec(readFileSync(join(module, 'go.mod'), 'utf8'))?.[1] ?? '';
	return join(homedir(), '.cache/bgpmesh/felix', version, 'felix');
}

/** A Node with annotations of Calico, their names without the prefix. */
export const calicoNode = (name: string, annotations: Readonly<Record<string, string>>) => ({
	apiVersion: 'v1',
	kind: 'Node',
	metadata: {
		name,
		labels: { 'kubernetes.io/hostname': name },
		annotations: Object.fromEntries(
			Object.entries(annotations).map(([key, value]) => [`projectcalico.org/${key}`, value]),
		),
	},
});

/** The reason why Felix cannot run here; `undefined`: it can. */
export function missingFelix(): string | undefined {
	if (!existsSync(felixProgram())) return 'npm run setup:felix';
	for (const command of ['iptables-nft', 'ipset'])
		try {
			execFileSync(command, ['--version'], { stdio: 'ignore', env: systemEnvironment() });
		} catch {
			return `install: ${command === 'ipset' ? 'ipset' : 'iptables'}`;
		}
	return undefined;
}

/** Felix under the name that Calico's packages for hosts give it, in `folder`. */
export function packagedFelix(folder: string, program = felixProgram()): string {
	const path = join(folder, 'calico-felix');
	symlinkSync(program, path);
	return path;
}

/**
 * Starts Felix as the agent of a node in the network namespace of the process `pid`, with `more`
 * environment.
 */
export function startFelix(
	pid: number,
	node: string,
	kubeconfig: string,
	more: Readonly<Record<string, string>> = {},
	program = felixProgram(),
): { readonly child: ChildProcess; log(): string } {
	const settings = {
		DATASTORE_TYPE: 'kubernetes',
		FELIX_DATASTORETYPE: 'kubernetes',
		// Without C it cannot open maps of BPF, which it would clean up at the start.
		FELIX_DebugSkipCTLBCleanup: 'true',
		FELIX_FELIXHOSTNAME: node,
		FELIX_HEALTHENABLED: 'false',
		FELIX_IPTABLESBACKEND: 'nft',
		FELIX_IPV6SUPPORT: 'false',
		FELIX_LOGFILEPATH: 'none',
		FELIX_LOGSEVERITYSCREEN: 'warning',
		FELIX_LOGSEVERITYSYS: 'none',
		FELIX_USAGEREPORTINGENABLED: 'false',
		KUBECONFIG: kubeconfig,
		...more,
	};
	const child = spawn('nsenter', ['-t', String(pid), '-n', program], {
		stdio: ['ignore', 'pipe', 'pipe'],
		env: { ...systemEnvironment(), ...settings },
	});
	let text = '';
	for (const stream of [child.stdout, child.stderr])
		stream.setEncoding('utf8').on('data', (chunk: string) => {
			text = (text + chunk).slice(-20_000);
		});
	return { child, log: () => text };
}
