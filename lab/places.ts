import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plumbing } from './plumbing.ts';
import { commandIn, type LookingPlace, requestFrom } from './requests.ts';
import { labTopology } from './topology.ts';

/** The record of a running laboratory (`--keep`), for `exec`. */
export interface KeptLab {
	readonly pid: number;
	readonly startedMs: number;
	/** Absent inside user-mode-linux, which is only reachable through the folder. */
	readonly place?: LookingPlace;
}

/** Prefix of the folders of laboratories. */
export const labFolderPrefix = 'bgpmesh-lab-';

export function writeKeptLab(folder: string, lab: KeptLab): void {
	writeFileSync(join(folder, 'lab.json'), JSON.stringify(lab));
}

/** The last started laboratory that still runs. */
function findKeptLab(): { folder: string; lab: KeptLab } | undefined {
	return readdirSync(tmpdir())
		.filter((name) => name.startsWith(labFolderPrefix))
		.map((name) => join(tmpdir(), name))
		.filter((folder) => existsSync(join(folder, 'lab.json')))
		.map((folder) => ({ folder, lab: JSON.parse(readFileSync(join(folder, 'lab.json'), 'utf8')) as KeptLab }))
		.filter(({ lab }) => existsSync(`/proc/${lab.pid}`))
		.sort((left, right) => right.lab.startedMs - left.lab.startedMs)[0];
}

/** Runs a command in a namespace of a running laboratory (`--keep`), and returns its exit code. */
export async function execInLab(namespace: string, command: readonly string[]): Promise<number> {
	const { namespaces } = plumbing(labTopology('mesh'), '');
	if (!namespaces.includes(namespace)) {
		process.stderr.write(`there is no '${namespace}'; there are: ${namespaces.join(', ')}\n`);
		return 2;
	}
	const found = findKeptLab();
	if (found === undefined) {
		process.stderr.write('no laboratory is up; start one with: npm run lab -- --keep\n');
		return 1;
	}
	const { folder, lab } = found;
	if (lab.place === undefined) return requestFrom(folder, { namespace, command });
	const [program = '', ...args] = commandIn(lab.place, { namespace, command });
	return new Promise((resolve) => {
		const child = spawn(program, args, { stdio: 'inherit' });
		child.on('error', () => resolve(127));
		child.on('exit', (code) => resolve(code ?? 128));
	});
}
