import { type ProblemId, type ProblemRow, problems } from './problems.ts';

/** What this node does, as far as kernel settings are concerned. */
export interface SettingNeeds {
	/** An IPv4 pool or block: IPv4 packets of pods are forwarded. */
	readonly ipv4: boolean;
	readonly ipv6: boolean;
	/** Tunnel devices of this node. */
	readonly tunnels: readonly string[];
	/** Other interfaces that packets of the mesh arrive at. */
	readonly interfaces: readonly string[];
	/** Devices of direct server return. */
	readonly direct: readonly string[];
	/** The node's ends of the interfaces of pods. */
	readonly pods: readonly string[];
}

/** A kernel setting that the mesh depends on. */
export interface HostSetting {
	/** Below `/proc/sys`; `TUNNEL`, `INTERFACE`, `DIRECT` or `POD` stands for each such device. */
	readonly path: string;
	/** Accepted values, the one that the daemon writes first. */
	readonly accepted: readonly string[];
	/** The daemon writes the value once, where the kernel allows it; afterwards it only checks. */
	readonly written: boolean;
	readonly applies: (needs: SettingNeeds) => boolean;
	readonly breaks: string;
	/** `undefined`: `bgpmesh doctor` lists it, health does not. */
	readonly problem: ProblemId | undefined;
}

/** Every kernel setting that is checked. */
export const hostSettings: readonly HostSetting[] = [
	{
		path: 'net/ipv4/ip_forward',
		accepted: ['1'],
		written: true,
		applies: ({ ipv4 }) => ipv4,
		breaks: 'IPv4 packets between pods of different nodes, and from pods to hosts',
		problem: 'ipv4-forwarding',
	},
	{
		path: 'net/ipv6/conf/all/forwarding',
		accepted: ['1'],
		written: true,
		applies: ({ ipv6 }) => ipv6,
		breaks: 'IPv6 packets between pods of different nodes, and from pods to hosts',
		problem: 'ipv6-forwarding',
	},
	{
		path: 'net/ipv4/conf/TUNNEL/rp_filter',
		accepted: ['2', '0'],
		written: true,
		applies: ({ ipv4 }) => ipv4,
		breaks: 'packets through the tunnel while a pool changes its encapsulation',
		problem: 'rp-filter-strict',
	},
	{
		path: 'net/ipv4/conf/INTERFACE/rp_filter',
		accepted: ['2', '0'],
		written: false,
		applies: ({ ipv4 }) => ipv4,
		breaks:
			'packets whose answer leaves by another interface: nodes with several uplinks, CrossSubnet with unequal routes',
		problem: undefined,
	},
	{
		path: 'net/ipv4/conf/DIRECT/rp_filter',
		accepted: ['0', '2'],
		// What has the device writes it.
		written: false,
		applies: () => true,
		breaks: 'packets of clients that other nodes send on: direct server return is off at this node',
		problem: 'direct-return-strict',
	},
	{
		path: 'net/ipv4/conf/POD/proxy_arp',
		accepted: ['1'],
		written: true,
		applies: ({ ipv4 }) => ipv4,
		breaks: 'every IPv4 packet that the pod sends: its gateway, 169.254.1.1, does not answer ARP',
		problem: 'pod-gateway-silent',
	},
];

const devicesOf = { TUNNEL: 'tunnels', INTERFACE: 'interfaces', DIRECT: 'direct', POD: 'pods' } as const;
const deviceWords = ['TUNNEL', 'INTERFACE', 'DIRECT', 'POD'] as const;

/** One setting of one interface, as it was found. */
export interface SettingCheck {
	readonly setting: HostSetting;
	/** The path with the name of the interface. */
	readonly path: string;
	/** As `sysctl` writes it. */
	readonly subject: string;
	/** `undefined`: the kernel does not have it. */
	readonly found: string | undefined;
	readonly wanted: string;
	readonly ok: boolean;
}

/** The name as `sysctl` writes it: dots and slashes change places. */
export const settingName = (path: string): string => path.replace(/[./]/g, (sign) => (sign === '/' ? '.' : '/'));

/**
 * Compares each setting that applies with what `read` gives. The kernel takes the larger value of
 * `all` and the interface for rp_filter and proxy_arp (Documentation/networking/ip-sysctl).
 * A device that is absent is left out: the tunnel has a problem of its own. Pure but for `read`.
 */
export function checkSettings(
	needs: SettingNeeds,
	read: (path: string) => string | undefined,
): readonly SettingCheck[] {
	return hostSettings
		.filter(({ applies }) => applies(needs))
		.flatMap((setting): SettingCheck[] => {
			const { path, accepted } = setting;
			const check = (at: string, found: string | undefined): SettingCheck => ({
				setting,
				path: at,
				subject: settingName(at),
				found,
				wanted: accepted.join(' or '),
				ok: found !== undefined && accepted.includes(found),
			});
			const [word, devices] = deviceWords
				.map((each) => [each, needs[devicesOf[each]]] as const)
				.find(([each]) => path.includes(`/${each}/`)) ?? [undefined, []];
			if (word === undefined) return [check(path, read(path))];
			const all = Number(read(path.replace(word, 'all')) ?? 0);
			return devices.flatMap((device) => {
				const at = path.replace(word, device);
				const value = read(at);
				return value === undefined ? [] : [check(at, String(Math.max(all, Number(value))))];
			});
		});
}

/** The settings to write, with their values. Pure. */
export function settingsToWrite(
	checks: readonly SettingCheck[],
): readonly { readonly path: string; readonly value: string }[] {
	return checks.flatMap(({ setting, path, found, ok }) => {
		const [value] = setting.accepted;
		return setting.written && !ok && found !== undefined && value !== undefined ? [{ path, value }] : [];
	});
}

/** What to do about a setting that is wrong, with the name of its device. Pure. */
export function settingRemedy({ setting, subject }: SettingCheck): string {
	if (setting.problem === undefined) return `sysctl -w ${subject}=${setting.accepted[0] ?? ''}`;
	const { remedy }: ProblemRow = problems[setting.problem];
	return remedy.replaceAll(settingName(setting.path), subject);
}
