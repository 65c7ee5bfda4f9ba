/** The plugins that can make the interface; each takes the address from `bgpmesh-ipam`. */
export const mainPlugins = ['ptp', 'bridge', 'calico'] as const;
export type MainPlugin = (typeof mainPlugins)[number];

/** What a node's network configuration depends on. */
export interface ConflistOptions {
	/** Of the network: what handles of addresses begin with. */
	readonly name: string;
	readonly plugin: MainPlugin;
	readonly families: readonly ('ipv4' | 'ipv6')[];
	/** `undefined`: the plugin's own choice. */
	readonly mtuBytes: number | undefined;
	/** The daemon's; `undefined`: where it is by default. */
	readonly socket: string | undefined;
	/** Of the plugin `calico`, which reads policy from the cluster. */
	readonly kubeconfig: string;
}

/** The newest version that Debian 12's reference plugins speak. */
const cniVersion = '1.0.0';

/** The name of the bridge: a host's other `cni0` is not ours. */
const bridgeName = 'bgpmesh0';

/** The network configuration list for a node. */
export function conflist({ name, plugin, families, mtuBytes, socket, kubeconfig }: ConflistOptions): object {
	const mtu = mtuBytes === undefined ? {} : { mtu: mtuBytes };
	const ipam = {
		type: 'bgpmesh-ipam',
		assign_ipv4: families.includes('ipv4'),
		assign_ipv6: families.includes('ipv6'),
		...(socket === undefined ? {} : { socket }),
	};
	// The reference plugins want a gateway inside the block; Calico's own is a link-local address of its making.
	const withGateway = { ...ipam, gateway: 'auto' };
	const main = {
		ptp: { type: 'ptp', ...mtu, ipam: withGateway },
		bridge: { type: 'bridge', bridge: bridgeName, isGateway: true, hairpinMode: true, ...mtu, ipam: withGateway },
		calico: { type: 'calico', datastore_type: 'kubernetes', ...mtu, ipam, policy: { type: 'k8s' }, kubernetes: { kubeconfig } },
	} as const;
	return { cniVersion, name, plugins: [main[plugin]] };
}

/** Was this file written for `bgpmesh-ipam`? Whatever else is there is somebody else's. */
export const isOurs = (text: string): boolean =>
	pluginsOf(text).some((plugin) => (plugin as { ipam?: { type?: unknown } } | null)?.ipam?.type === 'bgpmesh-ipam');

/** The plugins of a list, or the one of a configuration that is none. */
function pluginsOf(text: string): readonly unknown[] {
	try {
		const value: unknown = JSON.parse(text);
		const plugins = (value as { plugins?: unknown } | null)?.plugins;
		return plugins === undefined ? [value] : Array.isArray(plugins) ? plugins : [];
	} catch {
		return [];
	}
}

/** What of a folder a runtime reads: these endings, by name. */
const isConfiguration = (file: string): boolean => /\.(conf|conflist|json)$/.test(file);

/** What the runtime reads in place of ours: it takes the first file of the folder, by name. */
export function shadowedBy(file: string, others: readonly string[]): string | undefined {
	const [first] = others.filter((other) => isConfiguration(other) && other < file).sort();
	return first;
}

/** Configurations that the runtime passes over while ours is there. */
export const shadowing = (file: string, others: readonly string[]): readonly string[] =>
	others.filter((other) => isConfiguration(other) && other > file).sort();

/** The longest first line that every kernel runs a program by. */
const mostShebang = 127;

/** The second line of what was installed: `uninstall` removes nothing else. */
const mark = '// installed by bgpmesh-cni';

/** The plugin's text for a runtime, whose PATH may be without Node.js: begun by the absolute path where the kernel takes that, and marked as installed. */
export function installedText(text: string, node: string): string {
	const line = `#!${node}`;
	const takes = !/\s/.test(node) && line.length <= mostShebang;
	return text.replace(/^(#!.*)\n/, (_, first: string) => `${takes ? line : first}\n${mark}\n`);
}

/** Is this program one that `install` put there? */
export const wasInstalled = (text: string): boolean => text.split('\n', 2)[1] === mark;
