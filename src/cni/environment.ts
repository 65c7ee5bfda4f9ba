import { CniCode, CniError } from './errors.ts';

export const cniCommands = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION'] as const;
export type CniCommand = (typeof cniCommands)[number];

/** What the runtime says in the environment. */
export interface CniEnvironment {
	readonly command: CniCommand;
	readonly containerId: string;
	readonly ifname: string;
	readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string | undefined } | undefined;
	/** `IP=` of CNI_ARGS: the address wanted. */
	readonly wantedAddress: string | undefined;
}

const aboutContainers: ReadonlySet<CniCommand> = new Set(['ADD', 'DEL', 'CHECK']);

/** @throws CniError */
export function parseEnvironment(environment: Readonly<Record<string, string | undefined>>): CniEnvironment {
	const command = cniCommands.find((known) => known === environment['CNI_COMMAND']);
	if (command === undefined)
		throw new CniError(
			CniCode.invalidEnvironment,
			`CNI_COMMAND is '${environment['CNI_COMMAND'] ?? ''}'`,
			`expected one of ${cniCommands.join(', ')}; this program is run by a container runtime`,
		);
	const containerId = environment['CNI_CONTAINERID'] ?? '';
	// The characters that the specification allows; they become part of a resource's name.
	if (aboutContainers.has(command) && !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(containerId))
		throw new CniError(CniCode.invalidEnvironment, `CNI_CONTAINERID is '${containerId}'`, 'expected letters, digits, _ . -, beginning with a letter or digit');
	const args = parseArguments(environment['CNI_ARGS'] ?? '');
	const name = args.get('K8S_POD_NAME');
	const namespace = args.get('K8S_POD_NAMESPACE');
	return {
		command,
		containerId,
		ifname: environment['CNI_IFNAME'] ?? '',
		pod: name === undefined || namespace === undefined ? undefined : { name, namespace, uid: args.get('K8S_POD_UID') },
		wantedAddress: args.get('IP'),
	};
}

/** `KEY=VALUE;KEY=VALUE`. */
function parseArguments(text: string): ReadonlyMap<string, string> {
	const pairs = text.split(';').filter((pair) => pair !== '');
	return new Map(
		pairs.map((pair): [string, string] => {
			const [key = '', ...value] = pair.split('=');
			if (value.length === 0) throw new CniError(CniCode.invalidEnvironment, `CNI_ARGS has '${pair}'`, 'expected KEY=VALUE;KEY=VALUE');
			return [key, value.join('=')];
		}),
	);
}
