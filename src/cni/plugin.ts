import { type CniAttachment, type CniInterface, ControlError, NoDaemonError } from '../control/index.ts';
import {
	addressKeys,
	type CniVersion,
	cniVersions,
	interfaceOf,
	type NetworkConfiguration,
	previousAddresses,
	validAttachments,
} from './configuration.ts';
import { type AskDaemon, notOurs } from './daemon.ts';
import type { CniCommand, CniEnvironment } from './environment.ts';
import { CniCode, CniError } from './errors.ts';
import { queueRelease } from './release.ts';
import { addResult, mainResult } from './result.ts';

const olderDaemon = 'is the daemon older than the plugin? restart bgpmeshd';

/** The verbs that older versions of the specification lack. */
const introduced: Readonly<Partial<Record<CniCommand, CniVersion>>> = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' };

/**
 * Runs one call of the plugin. Returns the text for standard output; most verbs have none. @throws
 * CniError
 */
export async function runPlugin(
	environment: CniEnvironment,
	configuration: NetworkConfiguration,
	ask: AskDaemon,
): Promise<object | undefined> {
	try {
		return await answer(environment, configuration, ask);
	} catch (error) {
		throw asCniError(error, environment);
	}
}

async function answer(
	environment: CniEnvironment,
	configuration: NetworkConfiguration,
	ask: AskDaemon,
): Promise<object | undefined> {
	const { command, containerId, ifname, namespace, pod } = environment;
	const { cniVersion, name: network } = configuration;
	const wish = command === 'VERSION' ? undefined : interfaceOf(configuration, namespace);
	const ofInterface = wish === undefined ? {} : { interface: wish };
	const since = introduced[command];
	if (since !== undefined && cniVersions.indexOf(cniVersion) < cniVersions.indexOf(since))
		throw new CniError(
			CniCode.incompatibleVersion,
			`${command} does not exist in CNI ${cniVersion}`,
			`it came with ${since}`,
		);
	switch (command) {
		case 'VERSION':
			return { cniVersion, supportedVersions: cniVersions };
		case 'ADD':
			return add(environment, configuration, wish, ask);
		case 'DEL':
			await remove({ network, containerId, ifname, pod, ...ofInterface }, configuration, ask);
			return undefined;
		case 'CHECK':
			await ask('cniCheck', {
				request: { network, containerId, ifname, pod, addresses: previousAddresses(configuration), ...ofInterface },
			});
			return undefined;
		case 'STATUS':
			await ask('cniStatus', {});
			return undefined;
		case 'GC':
			await ask('cniCollect', {
				request: { network, validAttachments: validAttachments(configuration), ...ofInterface },
			});
			return undefined;
		default:
			return command satisfies never;
	}
}

/**
 * DEL. As the main plugin it also succeeds without a daemon; otherwise a pod would stay in
 * Terminating until the daemon returns. The runtime removes the namespace and its interface, and
 * the daemon releases the addresses at its next start.
 */
async function remove(request: CniAttachment, configuration: NetworkConfiguration, ask: AskDaemon): Promise<void> {
	try {
		await ask('cniDelete', { request });
	} catch (error) {
		if (request.interface === undefined || !(error instanceof NoDaemonError)) throw error;
		queueRelease(configuration, request);
	}
}

async function add(
	environment: CniEnvironment,
	configuration: NetworkConfiguration,
	wish: CniInterface | undefined,
	ask: AskDaemon,
): Promise<object> {
	const { containerId, ifname, pod } = environment;
	const keys = addressKeys(configuration);
	const { assignIpv4, assignIpv6, ipv4Pools, ipv6Pools } = keys;
	const families = [...(assignIpv4 ? ['ipv4' as const] : []), ...(assignIpv6 ? ['ipv6' as const] : [])];
	// Requests addresses of the enabled families; an explicitly requested address is assigned in
	// any family. The gateway of the main plugin is no address of the block.
	const gateways = (['ipv4', 'ipv6'] as const).filter(
		(family) => wish === undefined && keys.gateways[family] === 'auto',
	);
	const wantedAddresses = [...environment.wantedAddresses, ...keys.wantedAddresses];
	const request = {
		...{ network: configuration.name, containerId, ifname, pod, families, ipv4Pools, ipv6Pools },
		...(wantedAddresses.length === 0 ? {} : { wantedAddresses }),
		...(gateways.length === 0 ? {} : { gateways }),
		...(wish === undefined ? {} : { interface: wish }),
	};
	const { addresses, interface: made } = await ask('cniAdd', { request });
	// A result without an address is an error: the main plugin would reject it without a reason.
	if (!Array.isArray(addresses) || addresses.length === 0) throw new NoDaemonError(configuration.socket, notOurs);
	if (wish !== undefined) {
		if (made === undefined) throw new CniError(CniCode.tryAgainLater, 'the daemon made no interface', olderDaemon);
		return mainResult(configuration.cniVersion, environment, addresses, made);
	}
	const without = addresses.find(({ family, gateway }) => gateways.includes(family) && gateway === undefined);
	// An error here, because the main plugin would reject the result without a reason.
	if (without !== undefined)
		throw new CniError(CniCode.noAddress, `the daemon gave ${without.address} without a gateway`, olderDaemon);
	return addResult(configuration.cniVersion, keys, addresses);
}

/** Maps an error of the daemon, or its absence, to a CNI error. */
function asCniError(error: unknown, { command }: CniEnvironment): CniError {
	if (error instanceof CniError) return error;
	// STATUS has its own code for a node that can not assign addresses. For the other verbs, the
	// runtime can retry.
	const later = command === 'STATUS' ? CniCode.notAvailable : CniCode.tryAgainLater;
	if (error instanceof NoDaemonError)
		return new CniError(later, error.message, whyNoDaemon[error.code] ?? whyNoDaemon['ENOENT']);
	if (error instanceof ControlError) {
		const hint = error.hint ?? '';
		if (error.status >= 500 || command === 'STATUS') return new CniError(later, error.message, hint);
		if (error.status === 404 || error.status === 405) return new CniError(later, error.message, olderDaemon);
		if (error.code === 'address-mismatch') return new CniError(CniCode.addressMismatch, error.message, hint);
		return new CniError(error.status === 400 ? CniCode.invalidConfiguration : CniCode.noAddress, error.message, hint);
	}
	return new CniError(CniCode.ioFailure, error instanceof Error ? error.message : String(error));
}

const theSocket = 'the socket is ipam.socket of the network configuration';

/** Remedies by the cause of the failed connection. */
const whyNoDaemon: Readonly<Record<string, string>> = {
	ENOENT: `is bgpmeshd running on this node? systemctl status bgpmeshd; ${theSocket}`,
	EACCES: `the plugin may not use the socket: it belongs to root and the group control.group; ${theSocket}`,
	ETIMEDOUT: 'bgpmeshd has the request and does not answer: its log has the reason',
	[notOurs]: `what answers there is not bgpmeshd, or one of another version; ${theSocket}`,
};
