import { must, removeNamespaces, run } from './commands.ts';
import { type Plumbing, plumbing } from './plumbing.ts';
import type { LabTopology } from './topology.ts';

/** The namespaces of one laboratory, cabled; `remove` is idempotent and complete. */
export interface LabNetwork {
	/** The kernel's name of a namespace of the laboratory (`node-a`, `pod-a`, `tor`, ...). */
	namespace(name: string): string;
	/** Creates additional namespaces that are removed with the others. @throws CommandError */
	add(names: readonly string[]): Promise<void>;
	remove(): void;
}

/**
 * Creates the network: namespaces, switches, router, nodes and pods. Removes it on failure. @throws
 * CommandError
 */
export async function buildNetwork(topology: LabTopology, prefix: string, cni: boolean): Promise<LabNetwork> {
	const plan: Plumbing = plumbing(topology, prefix, cni);
	const namespace = (name: string) => `${prefix}${name}`;
	const names = plan.namespaces.map(namespace);
	const remove = () => removeNamespaces(names);
	try {
		await must('ip', ['-batch', '-'], [...names.map((name) => `netns add ${name}`), ...plan.cables].join('\n'));
		await Promise.all(
			plan.steps.map(async (step) => {
				await must('ip', ['-n', namespace(step.namespace), '-batch', '-'], step.ip.join('\n'));
				if (step.sysctls.length > 0)
					await must('ip', ['netns', 'exec', namespace(step.namespace), 'sysctl', '-q', '-w', ...step.sysctls]);
			}),
		);
		const add = async (further: readonly string[]) => {
			const added = further.map(namespace);
			names.push(...added);
			await must('ip', ['-batch', '-'], added.map((name) => `netns add ${name}`).join('\n'));
		};
		return { namespace, add, remove };
	} catch (error) {
		remove();
		throw error;
	}
}

/**
 * Removes the namespaces of laboratories whose process is gone (killed with SIGKILL); their names
 * are `bgpmesh-PID-...`.
 */
export async function removeLeftovers(): Promise<void> {
	const { stdout } = await run('ip', ['netns', 'list']);
	const names = stdout.split('\n').map((line) => line.split(' ')[0] ?? '');
	removeNamespaces(names.filter((name) => isLeftover(name)));
}

function isLeftover(name: string): boolean {
	const pid = /^bgpmesh-(\d+)-/.exec(name)?.[1];
	if (pid === undefined) return false;
	try {
		process.kill(Number(pid), 0);
		return false;
	} catch (error) {
		return error instanceof Error && 'code' in error && error.code === 'ESRCH';
	}
}
