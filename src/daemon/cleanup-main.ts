import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import type { CleanedPlane, CleanUp } from '../cli/index.ts';
import { type Config, loadConfig } from '../config/index.ts';
import { formatAddress, type PlaneCleanup, silentLogger } from '../core/index.ts';
import { besideFelixProtocol, felixProtocol, openNetlinkKernel, removeNextHopObjects } from '../fib/index.ts';
import { textAt } from '../json/index.ts';
import { ApiClient, coreKinds, loadCredentials, nodeAnnotations } from '../kubernetes/index.ts';
import { loadRuleset, openNetlinkLinks, RouteScope, systemEnvironment } from '../linux/index.ts';
import { directDeviceNames, isDirectDevice, openVxlanKernel, vxlanDeviceNames } from '../vxlan/index.ts';
import { nodeName } from './node-name.ts';
import { removeEbpf } from './policy/ebpf.ts';

const usualConfigFile = '/etc/bgpmesh/bgpmeshd.yaml';
const defaultPinDirectory = '/sys/fs/bpf/bgpmesh';
const ipipDevice = 'tunl0';

/** Our routes in their table, and the next hop objects that they use. */
const routes = (protocols: readonly number[], table: number | undefined): PlaneCleanup => ({
	name: 'routes',
	async cleanup({ dryRun }) {
		const removed: string[] = [];
		for (const protocol of protocols) removed.push(...(await removeRoutes(protocol, table, dryRun)));
		return removed;
	},
});

async function removeRoutes(
	routeProtocol: number,
	table: number | undefined,
	dryRun: boolean,
): Promise<readonly string[]> {
	const kernel = openNetlinkKernel({ routeProtocol, ...(table === undefined ? {} : { table }) }, silentLogger);
	try {
		// Felix marks its routes with the same number.
		kernel.setOwnership({ protocol: routeProtocol, felixFamilies: ['ipv4', 'ipv6'] });
		const found = await kernel.list();
		const text = found.map(({ prefix, via, device, type }) =>
			[type === 'unicast' ? '' : `${type} `, prefix, via && ` via ${via}`, device && ` dev ${device}`].join(''),
		);
		if (dryRun) return text;
		const [refused] = await kernel.apply(found.map((route) => ({ type: 'remove', route })));
		if (refused !== undefined) throw refused.error;
		await removeNextHopObjects(routeProtocol);
		return text;
	} finally {
		kernel.close();
	}
}

/** The protocol of routes that the kernel derives from addresses. */
const kernelProtocol = 2;

/**
 * Devices that routes of other programs lead through: Felix and BIRD use the same tunnel devices.
 * `ours`: the protocol numbers of our own routes.
 */
async function devicesOfOthers(ours: readonly number[]): Promise<ReadonlySet<string>> {
	const kernel = openNetlinkKernel({ routeProtocol: besideFelixProtocol }, silentLogger);
	try {
		const routes = (await kernel.listForeign()).filter(({ protocol, metric }) => {
			const isFelix = protocol === felixProtocol && metric === 0;
			return protocol !== kernelProtocol && (isFelix || !ours.includes(protocol));
		});
		return new Set(routes.flatMap(({ device }) => device ?? []));
	} finally {
		kernel.close();
	}
}

/**
 * The addresses of tunl0. The device stays: it belongs to the kernel's module, and other programs
 * may use it.
 */
const ipip = (protocols: readonly number[]): PlaneCleanup => ({
	name: 'ipip',
	async cleanup({ dryRun }) {
		const kernel = openNetlinkLinks();
		try {
			const device = (await kernel.links()).find(({ name }) => name === ipipDevice);
			if (device === undefined || (await devicesOfOthers(protocols)).has(ipipDevice)) return [];
			const ours = (await kernel.addresses()).filter(
				({ interfaceIndex, family, length, scope }) =>
					interfaceIndex === device.index && family === 'ipv4' && length === 32 && scope === RouteScope.universe,
			);
			if (!dryRun) for (const address of ours) await kernel.changeAddress('remove', address);
			return ours.map(({ address }) => `address ${formatAddress(address)}/32 of ${ipipDevice}`);
		} finally {
			kernel.close();
		}
	},
});

/**
 * The announcement that this node takes packets for direct server return: other nodes would go on
 * to send them, to no device. It is looked for only while there is the device.
 */
const directReturn = ({ node, datastore }: Config): PlaneCleanup | undefined =>
	datastore.type !== 'kubernetes'
		? undefined
		: {
				name: 'direct-return',
				async cleanup({ dryRun }) {
					const annotation = nodeAnnotations.directReturnMac;
					if (!(await hasDirectDevice())) return [];
					const client = new ApiClient(await loadCredentials(datastore.kubeconfig), Math.random);
					const name = nodeName(node);
					const found = await client.get(coreKinds.nodes, name);
					if (textAt(found ?? {}, 'metadata', 'annotations', annotation) === undefined) return [];
					const change = { metadata: { annotations: { [annotation]: null } } };
					if (!dryRun) await client.patch(coreKinds.nodes, name, change, 'application/merge-patch+json');
					return [`annotation ${annotation} of node ${name}`];
				},
			};

async function hasDirectDevice(): Promise<boolean> {
	const kernel = openVxlanKernel();
	try {
		return (await kernel.links()).some(({ name, kind }) => kind === 'vxlan' && isDirectDevice(name));
	} finally {
		kernel.close();
	}
}

/** The VXLAN devices; their entries go with them. */
const vxlan = (protocols: readonly number[]): PlaneCleanup => ({
	name: 'vxlan',
	async cleanup({ dryRun }) {
		const kernel = openVxlanKernel();
		try {
			const names: readonly string[] = [...Object.values(vxlanDeviceNames), ...Object.values(directDeviceNames)];
			const others = await devicesOfOthers(protocols);
			const ours = (await kernel.links()).filter(
				({ name, kind }) => kind === 'vxlan' && names.includes(name) && !others.has(name),
			);
			if (!dryRun) for (const { index } of ours) await kernel.removeLink(index);
			return ours.map(({ name }) => `device ${name}`);
		} finally {
			kernel.close();
		}
	},
});

/** All nftables tables of bgpmesh: guard, masquerade, policy and services. */
const nftables: PlaneCleanup = {
	name: 'nftables',
	async cleanup({ dryRun }) {
		const ours = [...(await listTables()).matchAll(/^table (\S+) (bgpmesh_\w+)$/gm)].map(([, family, name]) => ({
			family,
			name,
		}));
		if (!dryRun && ours.length > 0)
			await loadRuleset(ours.map(({ family, name }) => `delete table ${family} ${name}\n`).join(''));
		return ours.map(({ family, name }) => `table ${family} ${name}`);
	},
};

/** Programs of pods: pinned links and maps, and classifiers of kernels without TCX. */
const ebpf = (pinDirectory: string): PlaneCleanup => ({
	name: 'ebpf',
	cleanup: ({ dryRun }) => removeEbpf(pinDirectory, { dryRun }),
});

async function listTables(): Promise<string> {
	try {
		const { stdout } = await promisify(execFile)('nft', ['list', 'tables'], { env: systemEnvironment() });
		return stdout;
	} catch (error) {
		// Without the command no table can have been loaded by it.
		if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
		throw error;
	}
}

/**
 * All kernel state of this project, a row for each plane, in the order of removal: routes to a
 * device precede the device.
 */
const cleanups = (
	routeProtocols: readonly number[],
	table: number | undefined,
	pinDirectory: string,
): readonly PlaneCleanup[] => [
	routes(routeProtocols, table),
	vxlan(routeProtocols),
	ipip(routeProtocols),
	nftables,
	ebpf(pinDirectory),
];

/**
 * `bgpmesh cleanup`: removes all kernel state of bgpmesh in this namespace, with what it announces
 * of it, and nothing else. A failing plane does not stop the others.
 */
export const cleanUp: CleanUp = async ({ dryRun, configFile }) => {
	const file = configFile ?? (existsSync(usualConfigFile) ? usualConfigFile : undefined);
	const config = file === undefined ? undefined : await loadConfig(file);
	const { routeProtocol, table } = config?.fib ?? {};
	const routeProtocols = routeProtocol === undefined ? [felixProtocol, besideFelixProtocol] : [routeProtocol];
	const pinDirectory = config?.ebpf.pinDirectory ?? defaultPinDirectory;
	const planes: CleanedPlane[] = [];
	const announcement = config && directReturn(config);
	const all = cleanups(routeProtocols, table, pinDirectory);
	for (const plane of [...(announcement === undefined ? [] : [announcement]), ...all]) {
		try {
			planes.push({ plane: plane.name, removed: await plane.cleanup({ dryRun }) });
		} catch (error) {
			planes.push({ plane: plane.name, removed: [], error: error instanceof Error ? error.message : String(error) });
		}
	}
	return planes;
};
