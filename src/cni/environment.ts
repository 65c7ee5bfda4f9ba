import { isCniName, withoutLength } from './configuration.ts';
import { CniCode, CniError } from './errors.ts';

export const cniCommands = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION'] as const;
export type CniCommand = (typeof cniCommands)[number];

/** What the runtime says in the environment. */
export interface CniEnvironment {
	readonly command: CniCommand;
	readonly containerId: string;
	readonly ifname: string;
	readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string | undefined } | undefined;
	/** `IP=` of CNI_ARGS: the addresses wanted, one or, as the plugin `static` takes them, several between commas; without prefix lengths. */
	readonly wantedAddresses: readonly string[];
}

const aboutContainers: ReadonlySet<CniCommand> = new Set(['ADD', 'DEL', 'CHECK']);
/** At DEL it may be gone. CNI §2. */
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
	// The characters that the specification allows; they become part of a resource's name.
	if (aboutContainers.has(command) && !isCniName(containerId))
		throw new CniError(CniCode.invalidEnvironment, `CNI_CONTAINERID is '${containerId}'`, 'expected letters, digits, _ . -, beginning with a letter or digit');
	const ifname = environment['CNI_IFNAME'] ?? '';
	// The kernel's rule for a name of an interface, as the specification repeats it.
	if (aboutContainers.has(command) && (!/^[^\s/:]{1,15}$/.test(ifname) || ifname === '.' || ifname === '..'))
		throw new CniError(CniCode.invalidEnvironment, `CNI_IFNAME is '${ifname}'`, 'expected the name of an interface: at most 15 characters, no space, / or :');
	if (needsNamespace.has(command) && (environment['CNI_NETNS'] ?? '') === '')
		throw new CniError(CniCode.invalidEnvironment, `CNI_NETNS is ''`, `${command} is about a container's network namespace, and the runtime says which`);
	const args = parseArguments(environment['CNI_ARGS'] ?? '');
	// What is to be taken away is taken away, whoever asks and however.
	if (command !== 'DEL') refuseUnknown(args);
	const name = args.get('K8S_POD_NAME');
	const namespace = args.get('K8S_POD_NAMESPACE');
	return {
		command,
		containerId,
		ifname,
		pod: name === undefined || namespace === undefined ? undefined : { name, namespace, uid: args.get('K8S_POD_UID') },
		wantedAddresses: (args.get('IP') ?? '')
			.split(',')
			.map(withoutLength)
			.filter((address) => address !== ''),
	};
}

/** What is understood here. K8S_POD_INFRA_CONTAINER_ID says what CNI_CONTAINERID says. */
const knownArguments: ReadonlySet<string> = new Set(['IgnoreUnknown', 'IP', 'K8S_POD_NAME', 'K8S_POD_NAMESPACE', 'K8S_POD_UID', 'K8S_POD_INFRA_CONTAINER_ID']);

/** A key that means nothing here is an error, unless the caller says `IgnoreUnknown=1`: the convention of all CNI plugins. */
function refuseUnknown(args: ReadonlyMap<string, string>): void {
	const unknown = [...args.keys()].filter((key) => !knownArguments.has(key));
	if (unknown.length === 0 || /^(1|t|true)$/i.test(args.get('IgnoreUnknown') ?? '')) return;
	throw new CniError(CniCode.invalidEnvironment, `CNI_ARGS has ${unknown.join(', ')}`, `known are ${[...knownArguments].join(', ')}; or add IgnoreUnknown=1`);
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
