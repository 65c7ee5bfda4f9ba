import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import type { HostCheck } from '../cli/index.ts';
import { checkSettings, problems, type SettingCheck } from '../health/index.ts';
import { readSetting, systemEnvironment } from '../linux/index.ts';

/** Devices of pods and bridges, which do not belong to the mesh. */
const podDevice = /^(lo|cali|veth|docker|br-|tunl|vxlan|nodelocaldns|kube-|dummy)/;
const tunnelDevice = /^(tunl0|vxlan\.calico|vxlan-v6\.calico)$/;

/** Kernel settings, modules and commands that the daemon needs on this host. */
export async function checkHost(): Promise<readonly HostCheck[]> {
	const devices = existsSync('/sys/class/net') ? readdirSync('/sys/class/net').sort() : [];
	const settings = checkSettings(
		{
			ipv4: true,
			ipv6: readSetting('net/ipv6/conf/all/disable_ipv6') === '0',
			tunnels: devices.filter((name) => tunnelDevice.test(name)),
			interfaces: devices.filter((name) => !podDevice.test(name)),
		},
		readSetting,
	);
	return [
		...settings.map(settingCheck),
		moduleCheck('ipip', 'IP in IP: pools with `ipipMode` Always or CrossSubnet'),
		moduleCheck('vxlan', 'VXLAN: pools with `vxlanMode`'),
		commandCheck('nft', 'nftables', 'the guard of tunnels, and masquerading (`natOutgoing`)'),
	];
}

function settingCheck({ setting, subject, found, wanted, ok }: SettingCheck): HostCheck {
	const remedy =
		setting.problem === undefined
			? `sysctl -w ${subject}=${setting.accepted[0] ?? ''}`
			: problems[setting.problem].remedy;
	// The daemon writes the value at its start.
	return {
		name: subject,
		state: ok ? 'ok' : 'wrong',
		found: found ?? 'nothing',
		wanted,
		breaks: setting.breaks,
		remedy: setting.written ? `bgpmeshd writes it at its start. ${remedy}` : remedy,
	};
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
