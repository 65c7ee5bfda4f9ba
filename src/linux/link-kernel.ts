import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { systemEnvironment } from './environment.ts';
import { Group, type Link, type LinkAddress, NetlinkEvents, Rtnetlink } from './netlink/index.ts';

/** The kernel's interfaces. Implemented for netlink, and by a fake. */
export interface LinkKernel {
	/** @throws DumpInterruptedError if they change faster than they can be read */
	links(): Promise<readonly Link[]>;
	/** @throws DumpInterruptedError likewise */
	addresses(): Promise<readonly LinkAddress[]>;
	/** Creates an interface of a kind, and loads its module if needed. @throws Error */
	addLink(link: { readonly name: string; readonly kind: string }): Promise<void>;
	changeLink(change: { readonly index: number; readonly up?: boolean; readonly mtuBytes?: number }): Promise<void>;
	changeAddress(verb: 'add' | 'remove', address: LinkAddress): Promise<void>;
	/** Calls back when other programs change interfaces or addresses. */
	watch(onChange: () => void): void;
	close(): void;
}

/** Opens the interfaces of the current network namespace. @throws SystemCallError */
export function openNetlinkLinks(): LinkKernel {
	const netlink = new Rtnetlink();
	return { ...netlinkLinks(netlink), addLink: (link) => addLink(netlink, link) };
}

/** The interfaces by a socket that `close` closes, for callers that create interfaces of a kind. */
export function netlinkLinks(netlink: Rtnetlink): Omit<LinkKernel, 'addLink'> {
	let events: NetlinkEvents | undefined;
	return {
		links: () => netlink.links(),
		addresses: () => netlink.addresses(),
		changeLink: (change) => netlink.changeLink(change),
		changeAddress: (verb, address) => netlink.changeAddress(verb, address),
		watch(onChange) {
			events = new NetlinkEvents({
				groups: [Group.link, Group.ipv4Address, Group.ipv6Address],
				ignorePortId: netlink.portId,
				onMessage: onChange,
				onLoss: onChange,
			});
		},
		close() {
			events?.close();
			netlink.close();
		},
	};
}

/**
 * Loading the module of ipip creates tunl0 in every namespace; otherwise it is created like any
 * other device.
 */
async function addLink(netlink: Rtnetlink, link: { readonly name: string; readonly kind: string }): Promise<void> {
	await loadModule(link.kind);
	if ((await netlink.links()).some(({ name }) => name === link.name)) return;
	try {
		await netlink.addLink(link);
	} catch (error) {
		// The kernel loaded the module for our request, which created the device.
		if (!(await netlink.links()).some(({ name }) => name === link.name)) throw error;
	}
}

/** Best effort: the module may be built in, or modprobe missing in a container. */
async function loadModule(name: string): Promise<void> {
	const child = spawn('modprobe', ['-q', name], { stdio: 'ignore', env: systemEnvironment() });
	await once(child, 'exit').catch(() => undefined);
}
