import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { formatAddress } from '../core/index.ts';
import { Group, type Link, type LinkAddress, NetlinkEvents, Rtnetlink, systemEnvironment } from '../linux/index.ts';
import type { InterfaceAddress } from './types.ts';

/** The kernel's interfaces. Implemented for netlink, and by a fake. */
export interface LinkKernel {
	/** @throws DumpInterruptedError when they change faster than they can be read */
	links(): Promise<readonly Link[]>;
	/** @throws DumpInterruptedError likewise */
	addresses(): Promise<readonly LinkAddress[]>;
	/** Makes an interface of a kind, loading its module where needed. @throws Error */
	addLink(link: { readonly name: string; readonly kind: string }): Promise<void>;
	changeLink(change: { readonly index: number; readonly up?: boolean; readonly mtuBytes?: number }): Promise<void>;
	changeAddress(verb: 'add' | 'remove', address: LinkAddress): Promise<void>;
	/** Calls back when interfaces or addresses change by other hands. */
	watch(onChange: () => void): void;
	close(): void;
}

/** Opens the interfaces of the network namespace we are in. @throws SystemCallError */
export function openNetlinkLinks(): LinkKernel {
	const netlink = new Rtnetlink();
	let events: NetlinkEvents | undefined;
	return {
		links: () => netlink.links(),
		addresses: () => netlink.addresses(),
		addLink: (link) => addLink(netlink, link),
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

/** Loading the module of ipip makes tunl0 in every namespace; where it did not, it is made like any other device. */
async function addLink(netlink: Rtnetlink, link: { readonly name: string; readonly kind: string }): Promise<void> {
	await loadModule(link.kind);
	if ((await netlink.links()).some(({ name }) => name === link.name)) return;
	try {
		await netlink.addLink(link);
	} catch (error) {
		// The kernel loaded the module for our request, and with it came the device.
		if (!(await netlink.links()).some(({ name }) => name === link.name)) throw error;
	}
}

/** Best effort: the module may be built in, or modprobe missing in a container. */
async function loadModule(name: string): Promise<void> {
	const child = spawn('modprobe', ['-q', name], { stdio: 'ignore', env: systemEnvironment() });
	await once(child, 'exit').catch(() => undefined);
}

/** Addresses with the names of their interfaces. */
export function interfaceAddresses(links: readonly Link[], addresses: readonly LinkAddress[]): InterfaceAddress[] {
	const names = new Map(links.map(({ index, name }) => [index, name]));
	return addresses.flatMap(({ interfaceIndex, address, length }) => {
		const device = names.get(interfaceIndex);
		return device === undefined ? [] : [{ device, address: `${formatAddress(address)}/${length}` }];
	});
}
