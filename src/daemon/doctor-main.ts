import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { HostCheck } from '../cli/index.ts';
import { podInterfacePrefix } from '../core/index.ts';
import { tunnelMtuBytes, tunnelOverheadBytes } from '../encapsulation/index.ts';
import {
	checkLimits,
	checkSettings,
	type HostNumbers,
	type LimitCheck,
	readConnections,
	type SettingCheck,
	settingName,
	settingRemedy,
} from '../health/index.ts';
import { openNetlinkLinks, readSetting, systemEnvironment } from '../linux/index.ts';
import { isDirectDevice } from '../vxlan/index.ts';

/** Devices of pods and bridges, which do not belong to the mesh. */
const podDevice = /^(lo|cali|veth|docker|br-|tunl|vxlan|nodelocaldns|kube-|dummy)/;
/** What each tunnel device takes of a packet. */
const overheads: Readonly<Record<string, number>> = {
	tunl0: tunnelOverheadBytes.ipip,
	'vxlan.calico': tunnelOverheadBytes.vxlan,
	'vxlan-v6.calico': tunnelOverheadBytes.vxlanIpv6,
};

/** Kernel settings, modules and commands that the daemon needs on this host. */
export async function checkHost(): Promise<readonly HostCheck[]> {
	const { devices, numbers } = await readHost();
	const settings = checkSettings(
		{
			ipv4: true,
			ipv6: readSetting('net/ipv6/conf/all/disable_ipv6') === '0',
			tunnels: numbers.tunnels.map(({ name }) => name),
			interfaces: devices.filter((name) => !podDevice.test(name)),
			direct: devices.filter(isDirectDevice),
			pods: numbers.pods.map(({ name }) => name),
		},
		readSetting,
	);
	return [
		...withoutSoundPods([...settings.map(settingRow), ...checkLimits(numbers).map(limitRow)]),
		moduleCheck('ipip', 'IP in IP: pools with `ipipMode` Always or CrossSubnet'),
		moduleCheck('vxlan', 'VXLAN: pools with `vxlanMode`'),
		commandCheck('nft', 'nftables', 'the guard of tunnels, and masquerading (`natOutgoing`)'),
	];
}

/** The interfaces of this network namespace, by name, and the numbers that have a bound. */
async function readHost(): Promise<{ readonly devices: readonly string[]; readonly numbers: HostNumbers }> {
	const kernel = openNetlinkLinks();
	try {
		const [links, addresses] = await Promise.all([kernel.links(), kernel.addresses()]);
		const sorted = [...links].sort((a, b) => (a.name < b.name ? -1 : 1));
		return {
			devices: sorted.map(({ name }) => name),
			numbers: {
				connections: readConnections(readSetting),
				tunnels: sorted.flatMap(({ name, mtuBytes, up }) => {
					const overheadBytes = overheads[name];
					// Loading the module ipip creates tunl0; a node without IP in IP leaves it down.
					return overheadBytes === undefined || !up
						? []
						: [{ name, mtuBytes, mostBytes: tunnelMtuBytes(links, addresses, overheadBytes) }];
				}),
				pods: sorted.filter(({ name }) => name.startsWith(podInterfacePrefix)),
			},
		};
	} finally {
		kernel.close();
	}
}

/** A row of the answer, and the name of its setting with `POD` in place of an interface. */
interface Row {
	readonly setting: string;
	readonly check: HostCheck;
}

function settingRow(checked: SettingCheck): Row {
	const { setting, subject, found, wanted, ok } = checked;
	const remedy = settingRemedy(checked);
	return {
		setting: settingName(setting.path),
		check: {
			name: subject,
			state: ok ? 'ok' : 'wrong',
			found: found ?? 'nothing',
			wanted,
			breaks: setting.breaks,
			remedy: setting.written ? `bgpmeshd writes it at its start. ${remedy}` : remedy,
		},
	};
}

function limitRow({ limit, subject, found, most, ok }: LimitCheck): Row {
	const { name, breaks, remedy } = limit;
	const state = ok ? 'ok' : 'wrong';
	return {
		setting: name,
		check: { name: subject, state, found: String(found), wanted: `at most ${most}`, breaks, remedy },
	};
}

/** A node has many pods: one row stands for all that are as they must be. */
function withoutSoundPods(rows: readonly Row[]): readonly HostCheck[] {
	const isSound = ({ setting, check }: Row) => setting.includes('POD') && check.state === 'ok';
	return rows.flatMap((row, at): HostCheck[] => {
		if (!isSound(row)) return [row.check];
		const alike = rows.filter((other) => isSound(other) && other.setting === row.setting);
		if (alike[0] !== rows[at]) return [];
		const all = { name: row.setting.replace('POD', `${podInterfacePrefix}*`) };
		return [{ ...row.check, ...all, found: `${row.check.wanted} (${alike.length})` }];
	});
}

function moduleCheck(name: string, breaks: string): HostCheck {
	const loaded = existsSync(`/sys/module/${name}`);
	const { error, status } = loaded
		? { error: undefined, status: 0 }
		: spawnSync('modprobe', ['--dry-run', '--quiet', name], { stdio: 'ignore', env: systemEnvironment() });
	const state = error !== undefined ? 'unknown' : status === 0 ? 'ok' : 'wrong';
	return {
		name: `module ${name}`,
		state,
		found: loaded ? 'loaded' : { ok: 'can be loaded', wrong: 'absent', unknown: 'modprobe is missing' }[state],
		wanted: 'loaded, or loadable',
		breaks,
		remedy: `install the kernel's modules, or a kernel with ${name}; a container sees those of its host alone`,
	};
}

function commandCheck(command: string, package_: string, breaks: string): HostCheck {
	const { error } = spawnSync(command, ['--version'], { stdio: 'ignore', env: systemEnvironment() });
	return {
		name: `command ${command}`,
		state: error === undefined ? 'ok' : 'wrong',
		found: error === undefined ? 'there' : 'missing',
		wanted: 'there',
		breaks,
		remedy: `apt-get install ${package_}`,
	};
}
