/**
 * The plugins that can create the interface: our own, or another plugin that gets addresses from
 * `bgpmesh-ipam`.
 */
export const mainPlugins = ['bgpmesh', 'ptp', 'bridge', 'calico'] as const;
export type MainPlugin = (typeof mainPlugins)[number];

/** The inputs of a node's network configuration. */
export interface ConflistOptions {
	/** Name of the network: the prefix of address handles. */
	readonly name: string;
	readonly plugin: MainPlugin;
	readonly families: readonly ('ipv4' | 'ipv6')[];
	/** `undefined`: the plugin's default. */
	readonly mtuBytes: number | undefined;
	/** The daemon's control socket; `undefined`: the default path. */
	readonly socket: string | undefined;
	/** For the plugin `calico`, which reads policy from the cluster. */
	readonly kubeconfig: string;
	/** Chained plugins, in the order in which they run after the main plugin. */
	readonly chain: readonly ChainedPlugin[];
}

/**
 * Plugins that implement `hostPort` and the bandwidth annotations of pods, chained as in Calico's
 * installation.
 */
export const chainedPlugins = ['bandwidth', 'portmap'] as const;
export type ChainedPlugin = (typeof chainedPlugins)[number];

const chained: Readonly<Record<ChainedPlugin, object>> = {
	bandwidth: { type: 'bandwidth', capabilities: { bandwidth: true } },
	// `snat`: required for a pod that connects to a hostPort of its own node.
	portmap: { type: 'portmap', snat: true, capabilities: { portMappings: true } },
};

/** The newest version that the reference plugins of Debian 12 support. */
const cniVersion = '1.0.0';

/** The name of the bridge. `cni0` may exist on the host and belong to another program. */
const bridgeName = 'bgpmesh0';

/** The network configuration list for a node. */
export function conflist({ name, plugin, families, mtuBytes, socket, kubeconfig, chain }: ConflistOptions): object {
	const mtu = mtuBytes === undefined ? {} : { mtu: mtuBytes };
	const ipam = {
		type: 'bgpmesh-ipam',
		assign_ipv4: families.includes('ipv4'),
		assign_ipv6: families.includes('ipv6'),
		...(socket === undefined ? {} : { socket }),
	};
	// The reference plugins require a gateway inside the block; the plugin `calico` creates a
	// link-local gateway itself.
	const withGateway = { ...ipam, gateway: 'auto' };
	const main = {
		bgpmesh: { type: 'bgpmesh', ...mtu, ipam },
		ptp: { type: 'ptp', ...mtu, ipam: withGateway },
		bridge: { type: 'bridge', bridge: bridgeName, isGateway: true, hairpinMode: true, ...mtu, ipam: withGateway },
		calico: {
			type: 'calico',
			datastore_type: 'kubernetes',
			...mtu,
			ipam,
			policy: { type: 'k8s' },
			kubernetes: { kubeconfig },
		},
	} as const;
	return { cniVersion, name, plugins: [main[plugin], ...chain.map((type) => chained[type])] };
}

/** True if this file was written for `bgpmesh-ipam`. Any other file belongs to another program. */
export const isOurs = (text: string): boolean =>
	pluginsOf(text).some((plugin) => (plugin as { ipam?: { type?: unknown } } | null)?.ipam?.type === 'bgpmesh-ipam');

/** The plugins of a network configuration list, or the one plugin of a single configuration. */
function pluginsOf(text: string): readonly unknown[] {
	try {
		const value: unknown = JSON.parse(text);
		const plugins = (value as { plugins?: unknown } | null)?.plugins;
		return plugins === undefined ? [value] : Array.isArray(plugins) ? plugins : [];
	} catch {
		return [];
	}
}

/** The files of a folder that a runtime reads, by their extension. */
const isConfiguration = (file: string): boolean => /\.(conf|conflist|json)$/.test(file);

/** The files that a runtime reads before ours: it uses the first file of the folder by name. */
export const shadowedBy = (file: string, others: readonly string[]): readonly string[] =>
	others.filter((other) => isConfiguration(other) && other < file).sort();

/**
 * The reason why a runtime can not use a configuration; `undefined` if it can. `hasPlugin` reports
 * whether a plugin is installed.
 */
export function whyUnusable(file: string, text: string, hasPlugin: (type: string) => boolean): string | undefined {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (error) {
		return `it is no JSON (${error instanceof Error ? error.message : String(error)})`;
	}
	if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'it is no JSON object';
	const { name, plugins } = value as { readonly name?: unknown; readonly plugins?: unknown };
	if (typeof name !== 'string' || name === '') return 'it has no name';
	const isList = file.endsWith('.conflist');
	if (isList && (!Array.isArray(plugins) || plugins.length === 0)) return 'it has no plugins';
	const types = (isList ? (plugins as readonly unknown[]) : [value]).map(
		(plugin) => (plugin as { readonly type?: unknown } | null)?.type,
	);
	if (!types.every((type): type is string => typeof type === 'string' && type !== ''))
		return 'it has a plugin without a type';
	const missing = types.filter((type) => !hasPlugin(type));
	return missing.length === 0 ? undefined : `${missing.join(', ')} is not in the folder of plugins`;
}

/** The configurations that the runtime ignores because ours comes first. */
export const shadowing = (file: string, others: readonly string[]): readonly string[] =>
	others.filter((other) => isConfiguration(other) && other > file).sort();

/** The longest `#!` line that every supported kernel accepts. */
const mostShebang = 127;

/** The second line of an installed script; `uninstall` removes only marked files. */
const mark = '// installed by bgpmesh-cni';

/**
 * The script for a runtime whose PATH may not contain Node.js: it begins with the absolute path of
 * Node.js if the kernel accepts the length, and is marked as installed.
 */
export function installedText(text: string, node: string): string {
	const line = `#!${node}`;
	const takes = !/\s/.test(node) && line.length <= mostShebang;
	return text.replace(/^(#!.*)\n/, (_, first: string) => `${takes ? line : first}\n${mark}\n`);
}

/** The mark inside the executable, by which `uninstall` recognizes it. */
export const executableMark = 'bgpmesh executable for bgpmesh, bgpmesh-ipam and bgpmesh-cni';

const elf = Buffer.from('\x7fELF', 'latin1');

/** True if `install` wrote this program. */
export function wasInstalled(content: Buffer): boolean {
	if (content.subarray(0, elf.length).equals(elf)) return content.includes(executableMark);
	return content.subarray(0, 512).toString().split('\n', 2)[1] === mark;
}
