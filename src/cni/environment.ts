import { isCniName, withoutLength } from './configuration.ts';
import { CniCode, CniError } from './errors.ts';

const cniCommands = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION'] as const;
export type CniCommand = (typeof cniCommands)[number];

/** The runtime's parameters in the environment. */
export interface CniEnvironment {
	readonly command: CniCommand;
	readonly containerId: string;
	readonly ifname: string;
	/** CNI_NETNS: path of the container's network namespace; `''` if the runtime gives none. */
	readonly namespace: string;
	readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string | undefined } | undefined;
	/**
	 * `IP=` of CNI_ARGS: the requested addresses without prefix lengths; one address, or a
	 * comma-separated list as in the plugin `static`.
	 */
	readonly wantedAddresses: readonly string[];
}

const aboutContainers: ReadonlySet<CniCommand> = new Set(['ADD', 'DEL', 'CHECK']);
/** DEL has to work without the namespace. CNI §2. */
const needsNamespace: ReadonlySet<CniCommand> = new Set(['ADD', 'CHECK']);

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
	// The characters that the specification allows. The ID becomes part of a resource name.
	if (aboutContainers.has(command) && !isCniName(containerId))
		throw new CniError(
			CniCode.invalidEnvironment,
			`CNI_CONTAINERID is '${containerId}'`,
			'expected letters, digits, _ . -, beginning with a letter or digit',
		);
	const ifname = environment['CNI_IFNAME'] ?? '';
	// The kernel's rule for interface names, which the specification repeats.
	if (aboutContainers.has(command) && (!/^[^\s/:]{1,15}$/.test(ifname) || ifname === '.' || ifname === '..'))
		throw new CniError(
			CniCode.invalidEnvironment,
			`CNI_IFNAME is '${ifname}'`,
			'expected the name of an interface: at most 15 characters, no space, / or :',
		);
	if (needsNamespace.has(command) && (environment['CNI_NETNS'] ?? '') === '')
		throw new CniError(
			CniCode.invalidEnvironment,
			`CNI_NETNS is ''`,
			`${command} is about a container's network namespace, and the runtime passes its path`,
		);
	const args = parseArguments(environment['CNI_ARGS'] ?? '');
	// Removal does not depend on the other arguments.
	if (command !== 'DEL') refuseUnknown(args);
	const name = args.get('K8S_POD_NAME');
	const namespace = args.get('K8S_POD_NAMESPACE');
	if (command !== 'DEL' && (name === '' || namespace === ''))
		throw new CniError(
			CniCode.invalidEnvironment,
			`CNI_ARGS has ${name === '' ? 'K8S_POD_NAME' : 'K8S_POD_NAMESPACE'} without a value`,
			'expected the name of the pod and of its namespace, or neither of the two',
		);
	return {
		command,
		containerId,
		ifname,
		namespace: environment['CNI_NETNS'] ?? '',
		pod:
			name === undefined || namespace === undefined || name === '' || namespace === ''
				? undefined
				: { name, namespace, uid: args.get('K8S_POD_UID') },
		wantedAddresses: (args.get('IP') ?? '')
			.split(',')
			.map(withoutLength)
			.filter((address) => address !== ''),
	};
}

/** The supported keys. K8S_POD_INFRA_CONTAINER_ID repeats CNI_CONTAINERID. */
const knownArguments: ReadonlySet<string> = new Set([
	'IgnoreUnknown',
	'IP',
	'K8S_POD_NAME',
	'K8S_POD_NAMESPACE',
	'K8S_POD_UID',
	'K8S_POD_INFRA_CONTAINER_ID',
]);

/**
 * An unknown key is an error unless the caller sets `IgnoreUnknown=1`: the convention of all CNI
 * plugins.
 */
function refuseUnknown(args: ReadonlyMap<string, string>): void {
	const unknown = [...args.keys()].filter((key) => !knownArguments.has(key));
	if (unknown.length === 0 || /^(1|t|true)$/i.test(args.get('IgnoreUnknown') ?? '')) return;
	throw new CniError(
		CniCode.invalidEnvironment,
		`CNI_ARGS has ${unknown.join(', ')}`,
		`known are ${[...knownArguments].join(', ')}; or add IgnoreUnknown=1`,
	);
}

/** `KEY=VALUE;KEY=VALUE`. */
function parseArguments(text: string): ReadonlyMap<string, string> {
	const pairs = text.split(';').filter((pair) => pair !== '');
	return new Map(
		pairs.map((pair): [string, string] => {
			const [key = '', ...value] = pair.split('=');
			if (value.length === 0)
				throw new CniError(CniCode.invalidEnvironment, `CNI_ARGS has '${pair}'`, 'expected KEY=VALUE;KEY=VALUE');
			return [key, value.join('=')];
		}),
	);
}
