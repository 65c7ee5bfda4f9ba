import { ControlError, NoDaemonError } from '../control/index.ts';
import { addressKeys, type CniVersion, cniVersions, type NetworkConfiguration, previousAddresses, validAttachments } from './configuration.ts';
import { type AskDaemon, notOurs } from './daemon.ts';
import type { CniCommand, CniEnvironment } from './environment.ts';
import { CniCode, CniError } from './errors.ts';
import { addResult } from './result.ts';

/** Verbs that older versions of the specification do not have. */
const introduced: Readonly<Partial<Record<CniCommand, CniVersion>>> = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' };

/** One call of the plugin: what goes to standard output, nothing for most verbs. @throws CniError */
export async function runPlugin(environment: CniEnvironment, configuration: NetworkConfiguration, ask: AskDaemon): Promise<object | undefined> {
	try {
		return await answer(environment, configuration, ask);
	} catch (error) {
		throw asCniError(error, environment);
	}
}

async function answer(environment: CniEnvironment, configuration: NetworkConfiguration, ask: AskDaemon): Promise<object | undefined> {
	const { command, containerId, ifname, pod } = environment;
	const { cniVersion, name: network } = configuration;
	const since = introduced[command];
	if (since !== undefined && cniVersions.indexOf(cniVersion) < cniVersions.indexOf(since))
		throw new CniError(CniCode.incompatibleVersion, `${command} does not exist in CNI ${cniVersion}`, `it came with ${since}`);
	switch (command) {
		case 'VERSION':
			return { cniVersion, supportedVersions: cniVersions };
		case 'ADD':
			return add(environment, configuration, ask);
		case 'DEL':
			await ask('cniDelete', { request: { network, containerId, ifname, pod } });
			return undefined;
		case 'CHECK':
			await ask('cniCheck', { request: { network, containerId, ifname, pod, addresses: previousAddresses(configuration) } });
			return undefined;
		case 'STATUS':
			await ask('cniStatus', {});
			return undefined;
		case 'GC':
			await ask('cniCollect', { request: { network, validAttachments: validAttachments(configuration) } });
			return undefined;
		default:
			return command satisfies never;
	}
}

async function add(environment: CniEnvironment, configuration: NetworkConfiguration, ask: AskDaemon): Promise<object> {
	const { containerId, ifname, pod } = environment;
	const keys = addressKeys(configuration);
	const { assignIpv4, assignIpv6, ipv4Pools, ipv6Pools } = keys;
	const families = [...(assignIpv4 ? ['ipv4' as const] : []), ...(assignIpv6 ? ['ipv6' as const] : [])];
	// Of both families, whichever are asked for: what is asked for by address is given whatever its family.
	const gateways = (['ipv4', 'ipv6'] as const).filter((family) => keys.gateways[family] === 'auto');
	const wantedAddresses = [...environment.wantedAddresses, ...keys.wantedAddresses];
	const request = {
		...{ network: configuration.name, containerId, ifname, pod, families, ipv4Pools, ipv6Pools },
		...(wantedAddresses.length === 0 ? {} : { wantedAddresses }),
		...(gateways.length === 0 ? {} : { gateways }),
	};
	const { addresses } = await ask('cniAdd', { request });
	// An answer without an address is no success: the main plugin would refuse it without saying why.
	if (!Array.isArray(addresses) || addresses.length === 0) throw new NoDaemonError(configuration.socket, notOurs);
	const without = addresses.find(({ family, gateway }) => gateways.includes(family) && gateway === undefined);
	// Answered all the same, the main plugin would refuse it without saying why.
	if (without !== undefined)
		throw new CniError(CniCode.noAddress, `the daemon gave ${without.address} without a gateway`, 'is the daemon older than the plugin? restart bgpmeshd');
	return addResult(configuration.cniVersion, keys, addresses);
}

/** The daemon's refusal, or its absence, in CNI's words. */
function asCniError(error: unknown, { command }: CniEnvironment): CniError {
	if (error instanceof CniError) return error;
	// STATUS has a code of its own for whatever keeps a node from giving addresses; to the others all of these are a matter of time.
	const later = command === 'STATUS' ? CniCode.notAvailable : CniCode.tryAgainLater;
	if (error instanceof NoDaemonError) return new CniError(later, error.message, whyNoDaemon[error.code] ?? whyNoDaemon['ENOENT']);
	if (error instanceof ControlError) {
		const hint = error.hint ?? '';
		if (error.status >= 500 || command === 'STATUS') return new CniError(later, error.message, hint);
		if (error.status === 404 || error.status === 405) return new CniError(later, error.message, 'is the daemon older than the plugin? restart bgpmeshd');
		if (error.code === 'address-mismatch') return new CniError(CniCode.addressMismatch, error.message, hint);
		return new CniError(error.status === 400 ? CniCode.invalidConfiguration : CniCode.noAddress, error.message, hint);
	}
	return new CniError(CniCode.ioFailure, error instanceof Error ? error.message : String(error));
}

const theSocket = 'the socket is ipam.socket of the network configuration';

/** What helps, by how the daemon was missed. */
const whyNoDaemon: Readonly<Record<string, string>> = {
	ENOENT: `is bgpmeshd running on this node? systemctl status bgpmeshd; ${theSocket}`,
	EACCES: `the plugin may not use the socket: it belongs to root and the group control.group; ${theSocket}`,
	ETIMEDOUT: 'bgpmeshd has the request and does not answer: its log says why',
	[notOurs]: `what answers there is not bgpmeshd, or one of another version; ${theSocket}`,
};
