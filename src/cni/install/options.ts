import { isAbsolute, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isCniName } from '../configuration.ts';
import { type ConflistOptions, chainedPlugins, mainPlugins } from './conflist.ts';

/** Options of `bgpmesh-cni uninstall`. */
export interface UninstallOptions {
	readonly binDir: string;
	readonly confDir: string;
	readonly dryRun: boolean;
	readonly force: boolean;
	readonly json: boolean;
}

/** Options of `bgpmesh-cni install`. */
export interface InstallOptions extends ConflistOptions, UninstallOptions {
	/** The Node.js that runs the plugin if it is a script. */
	readonly node: string;
	/** `auto`: the executable if present. */
	readonly form: 'auto' | 'executable' | 'script';
}

/** The parsed command line. */
export type Command =
	| { readonly verb: 'install'; readonly options: InstallOptions }
	| { readonly verb: 'uninstall'; readonly options: UninstallOptions }
	| { readonly verb: 'help' };

/** An invalid command line; the message gives the reason. */
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
  --plugin bgpmesh|ptp|bridge|calico  what makes the pod's interface (bgpmesh: the daemon)
  --name NAME                 of the network; addresses' handles begin with it (k8s-pod-network, as with Calico)
  --families ipv4,ipv6        which addresses pods get (ipv4)
  --mtu BYTES                 of the pod's interface (the plugin's choice)
  --socket FILE               of the daemon (/run/bgpmesh/bgpmesh.sock)
  --chain bandwidth,portmap   plugins behind it, for hostPort and bandwidth annotations; none leaves both out (both)
  --kubeconfig FILE           for the plugin calico (CONF-DIR/calico-kubeconfig)
  --form executable|script    without or with Node.js on the host (the executable where it was built)
  --node FILE                 the Node.js that runs the script, on the host (the one that runs this)

Examples:
  bgpmesh-cni install                                   # interfaces of our own, IPv4
  bgpmesh-cni install --plugin ptp                      # point-to-point links of the reference plugin
  bgpmesh-cni install --plugin bridge --mtu 1480        # a bridge; room for IP-in-IP
  bgpmesh-cni install --families ipv4,ipv6 --dry-run    # look first
  bgpmesh-cni install --bin-dir /host/opt/cni/bin \\
    --conf-dir /host/etc/cni/net.d --node /usr/bin/node # from a container
  bgpmesh-cni uninstall --dry-run                       # what would go; drain the node before it does

Exit codes: 0 done (or nothing to do), 1 refused or failed, 2 wrong usage.
`;

/** Parses the command line. @throws UsageError */
export function parseCommand(given: readonly string[], node: string): Command {
	const { values, positionals } = parsed(given);
	if (values.help === true) return { verb: 'help' };
	const [verb] = positionals;
	if (positionals.length !== 1 || (verb !== 'install' && verb !== 'uninstall'))
		throw new UsageError(
			verb === undefined
				? 'what is to be done? install or uninstall'
				: `'${positionals.join(' ')}': expected install or uninstall`,
		);
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

const forms = ['auto', 'executable', 'script'] as const;

const ofUninstall: ReadonlySet<string> = new Set(['bin-dir', 'conf-dir', 'dry-run', 'force', 'json']);

function networkOptions(
	values: ReturnType<typeof parsed>['values'],
	confDir: string,
	node: string,
): Omit<InstallOptions, keyof UninstallOptions> {
	const plugin = mainPlugins.find((known) => known === (values.plugin ?? 'bgpmesh'));
	if (plugin === undefined)
		throw new UsageError(`--plugin ${values.plugin}: expected one of ${mainPlugins.join(', ')}`);
	const form = forms.find((known) => known === (values.form ?? 'auto'));
	if (form === undefined) throw new UsageError(`--form ${values.form}: expected executable or script`);
	const name = values.name ?? 'k8s-pod-network';
	if (!isCniName(name))
		throw new UsageError(`--name ${name}: expected letters, digits, _ . -, beginning with a letter or digit`);
	return {
		form,
		name,
		plugin,
		chain: chainOf(values.chain ?? chainedPlugins.join(',')),
		families: familiesOf(values.families ?? 'ipv4'),
		mtuBytes: values.mtu === undefined ? undefined : mtuOf(values.mtu),
		socket: values.socket === undefined ? undefined : absolute('--socket', values.socket),
		kubeconfig: absolute('--kubeconfig', values.kubeconfig ?? resolve(confDir, 'calico-kubeconfig')),
		node: absolute('--node', values.node ?? node),
	};
}

/** The reader of the path runs in another working directory. */
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
		chain: text,
		mtu: text,
		socket: text,
		'bin-dir': text,
		'conf-dir': text,
		kubeconfig: text,
		node: text,
		form: text,
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

function chainOf(text: string): InstallOptions['chain'] {
	if (text === 'none') return [];
	const given = text.split(',');
	const strange = given.find((type) => !chainedPlugins.some((known) => known === type));
	if (strange !== undefined) throw new UsageError(`--chain ${text}: expected none, or of ${chainedPlugins.join(', ')}`);
	return chainedPlugins.filter((type) => given.includes(type));
}

function familiesOf(text: string): InstallOptions['families'] {
	const families = text.split(',').map((family) => {
		if (family !== 'ipv4' && family !== 'ipv6')
			throw new UsageError(`--families ${text}: expected ipv4, ipv6 or ipv4,ipv6`);
		return family;
	});
	return [...new Set(families)];
}

function mtuOf(text: string): number {
	const mtu = /^\d+$/.test(text) ? Number(text) : Number.NaN;
	// The minimum of IPv4, and the maximum of its length field.
	if (!(mtu >= 68 && mtu <= 65_535)) throw new UsageError(`--mtu ${text}: expected bytes from 68 to 65535`);
	return mtu;
}
