import { isAbsolute, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isCniName } from '../configuration.ts';
import { type ConflistOptions, mainPlugins } from './conflist.ts';

/** What `bgpmesh-cni uninstall` was asked for. */
export interface UninstallOptions {
	readonly binDir: string;
	readonly confDir: string;
	readonly dryRun: boolean;
	readonly force: boolean;
	readonly json: boolean;
}

/** What `bgpmesh-cni install` was asked for. */
export interface InstallOptions extends ConflistOptions, UninstallOptions {
	/** The Node.js that runs the plugin. */
	readonly node: string;
}

/** What is to be done. */
export type Command =
	| { readonly verb: 'install'; readonly options: InstallOptions }
	| { readonly verb: 'uninstall'; readonly options: UninstallOptions }
	| { readonly verb: 'help' };

/** A command line that means nothing; the message says what is wrong with it. */
export class UsageError extends Error {
	override readonly name = 'UsageError';
}

export const usage = `bgpmesh-cni install: the CNI plugin bgpmesh-ipam and a network configuration for this node
bgpmesh-cni uninstall: takes both away again, and nothing else

Both:
  --bin-dir FOLDER            where the runtime finds plugins (/opt/cni/bin)
  --conf-dir FOLDER           where the runtime finds configurations (/etc/cni/net.d)
  --force                     overwrite, or remove, what bgpmesh-cni has not put there
  --dry-run                   say what would be done, do nothing
  --json                      the answer for programs
  --help                      this

install:
  --plugin ptp|bridge|calico  what makes the pod's interface (ptp)
  --name NAME                 of the network; addresses' handles begin with it (k8s-pod-network, as with Calico)
  --families ipv4,ipv6        which addresses pods get (ipv4)
  --mtu BYTES                 of the pod's interface (the plugin's choice)
  --socket FILE               of the daemon (/run/bgpmesh/bgpmesh.sock)
  --kubeconfig FILE           for the plugin calico (CONF-DIR/calico-kubeconfig)
  --node FILE                 the Node.js that runs the plugin, on the host (the one that runs this)

Examples:
  bgpmesh-cni install                                   # point-to-point links, IPv4
  bgpmesh-cni install --plugin bridge --mtu 1480        # a bridge; room for IP-in-IP
  bgpmesh-cni install --families ipv4,ipv6 --dry-run    # look first
  bgpmesh-cni install --bin-dir /host/opt/cni/bin --conf-dir /host/etc/cni/net.d --node /usr/bin/node   # from a container
  bgpmesh-cni uninstall --dry-run                       # what would go; drain the node before it does

Exit codes: 0 done (or nothing to do), 1 refused or failed, 2 wrong usage.
`;

/** What is to be done. @throws UsageError */
export function parseCommand(given: readonly string[], node: string): Command {
	const { values, positionals } = parsed(given);
	if (values.help === true) return { verb: 'help' };
	const [verb] = positionals;
	if (positionals.length !== 1 || (verb !== 'install' && verb !== 'uninstall'))
		throw new UsageError(verb === undefined ? 'what is to be done? install or uninstall' : `'${positionals.join(' ')}': expected install or uninstall`);
	const common = {
		binDir: folder('--bin-dir', values['bin-dir'] ?? '/opt/cni/bin'),
		confDir: folder('--conf-dir', values['conf-dir'] ?? '/etc/cni/net.d'),
		dryRun: values['dry-run'] ?? false,
		force: values.force ?? false,
		json: values.json ?? false,
	};
	if (verb === 'install') return { verb, options: { ...common, ...networkOptions(values, common.confDir, node) } };
	const strange = Object.keys(values).filter((option) => !ofUninstall.has(option));
	if (strange.length > 0) throw new UsageError(`--${strange[0]}: uninstall does not have it`);
	return { verb, options: common };
}

const ofUninstall: ReadonlySet<string> = new Set(['bin-dir', 'conf-dir', 'dry-run', 'force', 'json']);

function networkOptions(values: ReturnType<typeof parsed>['values'], confDir: string, node: string): Omit<InstallOptions, keyof UninstallOptions> {
	const plugin = mainPlugins.find((known) => known === (values.plugin ?? 'ptp'));
	if (plugin === undefined) throw new UsageError(`--plugin ${values.plugin}: expected one of ${mainPlugins.join(', ')}`);
	const name = values.name ?? 'k8s-pod-network';
	if (!isCniName(name)) throw new UsageError(`--name ${name}: expected letters, digits, _ . -, beginning with a letter or digit`);
	return {
		name,
		plugin,
		families: familiesOf(values.families ?? 'ipv4'),
		mtuBytes: values.mtu === undefined ? undefined : mtuOf(values.mtu),
		socket: values.socket === undefined ? undefined : absolute('--socket', values.socket),
		kubeconfig: absolute('--kubeconfig', values.kubeconfig ?? resolve(confDir, 'calico-kubeconfig')),
		node: absolute('--node', values.node ?? node),
	};
}

/** Whoever reads it runs in a folder of its own. */
function absolute(option: string, path: string): string {
	if (!isAbsolute(path)) throw new UsageError(`${option} ${path}: expected an absolute path`);
	return path;
}

function folder(option: string, path: string): string {
	if (path === '') throw new UsageError(`${option} is empty: expected a folder`);
	return path;
}

function parsed(given: readonly string[]) {
	const text = { type: 'string' } as const;
	const flag = { type: 'boolean' } as const;
	const options = {
		plugin: text,
		name: text,
		families: text,
		mtu: text,
		socket: text,
		'bin-dir': text,
		'conf-dir': text,
		kubeconfig: text,
		node: text,
		force: flag,
		'dry-run': flag,
		json: flag,
		help: { ...flag, short: 'h' },
	} as const;
	try {
		return parseArgs({ args: [...given], options, allowPositionals: true });
	} catch (error) {
		throw new UsageError(error instanceof Error ? error.message : String(error));
	}
}

function familiesOf(text: string): InstallOptions['families'] {
	const families = text.split(',').map((family) => {
		if (family !== 'ipv4' && family !== 'ipv6') throw new UsageError(`--families ${text}: expected ipv4, ipv6 or ipv4,ipv6`);
		return family;
	});
	return [...new Set(families)];
}

function mtuOf(text: string): number {
	const mtu = /^\d+$/.test(text) ? Number(text) : Number.NaN;
	// The least that IPv4 allows, the most that its length field holds.
	if (!(mtu >= 68 && mtu <= 65_535)) throw new UsageError(`--mtu ${text}: expected bytes from 68 to 65535`);
	return mtu;
}
