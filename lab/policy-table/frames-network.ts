import type { Family } from '../../src/core/index.ts';
import { addQuietNamespace, addRouterNamespace, ipBatch, macOf, removeNamespace } from '../frames/namespaces.ts';
import { HostReceiver, HostSender, Wire } from '../frames/sockets.ts';

/** The uplink of a node. */
export const uplink = 'eth0';

const gateways = { ipv4: '169.254.1.1', ipv6: 'fe80::1:1' } as const;
const defaultRoutes = Object.values(gateways).map(
	(gateway) => `route replace default via ${gateway} dev ${uplink} onlink`,
);
const hostProtocols: Readonly<Record<Family, readonly number[]>> = { ipv4: [1, 6, 17, 132], ipv6: [6, 17, 58, 132] };

/** A place where frames are sent and received. */
export interface Port {
	readonly wire: Wire;
	/** MAC addresses of the incoming frame. */
	readonly from: Uint8Array;
	readonly to: Uint8Array;
	/** Name of the far end. */
	readonly farName: string;
}

/** A pod in the form of the network. */
export interface PodLink {
	readonly interfaceName: string;
	readonly address: string;
}

const neighbourCommands = (addresses: readonly string[], interfaceName: string, mac: string): string[] =>
	addresses.map((address) => `neigh replace ${address} lladdr ${mac} dev ${interfaceName} nud permanent`);

/**
 * One node: a namespace that routes between its pods and its uplink. The far ends of all links are
 * in one other namespace.
 */
export class NodeNetwork {
	readonly namespace: string;
	readonly #wireNamespace: string;
	readonly #nextIndex: () => number;
	readonly uplink: Port;
	readonly pods = new Map<string, Port & PodLink>();
	readonly receivers: readonly HostReceiver[];
	readonly senders: Readonly<Record<Family, HostSender>>;
	readonly #uplinkMac: string;
	#address: string | undefined;

	constructor(namespace: string, wireNamespace: string, nextIndex: () => number) {
		this.namespace = namespace;
		this.#wireNamespace = wireNamespace;
		this.#nextIndex = nextIndex;
		addRouterNamespace(namespace);
		this.uplink = this.#link(uplink, defaultRoutes, [gateways.ipv4, gateways.ipv6]);
		this.#uplinkMac = [...this.uplink.from].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
		this.receivers = (['ipv4', 'ipv6'] as const).flatMap((family) =>
			hostProtocols[family].map((protocol) => new HostReceiver(namespace, family, protocol)),
		);
		this.senders = { ipv4: new HostSender(namespace, 'ipv4'), ipv6: new HostSender(namespace, 'ipv6') };
	}

	/** The node's own address, on its uplink. */
	setAddress(address: string | undefined): void {
		if (address === this.#address) return;
		const change = (verb: 'add' | 'del', text: string) => {
			const ipv6 = text.includes(':');
			return `addr ${verb} ${text}/${ipv6 ? 128 : 32} dev ${uplink}${ipv6 && verb === 'add' ? ' nodad' : ''}`;
		};
		ipBatch(
			[
				...(this.#address === undefined ? [] : [change('del', this.#address)]),
				...(address === undefined ? [] : [change('add', address)]),
				// With the last address of an interface, the kernel removes its routes and
				// neighbours.
				...neighbourCommands(Object.values(gateways), uplink, this.#uplinkMac),
				...defaultRoutes,
			],
			this.namespace,
		);
		this.#address = address;
	}

	/** The links of the pods of this node. */
	setPods(wanted: readonly PodLink[]): void {
		const key = ({ interfaceName, address }: PodLink) => `${interfaceName} ${address}`;
		const names = new Set(wanted.map(key));
		for (const [name, port] of this.pods) {
			if (names.has(name)) continue;
			port.wire.close();
			ipBatch([`link del ${port.interfaceName}`], this.namespace);
			this.pods.delete(name);
		}
		for (const pod of wanted) {
			if (this.pods.has(key(pod))) continue;
			const port = this.#link(
				pod.interfaceName,
				[`route replace ${pod.address} dev ${pod.interfaceName}`],
				[pod.address],
			);
			this.pods.set(key(pod), { ...port, ...pod });
		}
	}

	/** The port of a pod by its address. */
	podPort(address: string): Port | undefined {
		for (const port of this.pods.values()) if (port.address === address) return port;
		return undefined;
	}

	close(): void {
		for (const socket of [this.uplink.wire, ...this.receivers, this.senders.ipv4, this.senders.ipv6]) socket.close();
		for (const { wire } of this.pods.values()) wire.close();
		removeNamespace(this.namespace);
	}

	#link(interfaceName: string, routes: readonly string[], neighbours: readonly string[]): Port {
		const index = this.#nextIndex();
		const farName = `w${index}`;
		// Passed here, because /sys shows the interfaces of another namespace.
		const farIndex = 1000 + index;
		const [router, wire] = [macOf(index, 'router'), macOf(index, 'wire')];
		ipBatch([
			`link add ${farName} index ${farIndex} netns ${this.#wireNamespace} address ${wire.text} ` +
				`type veth peer name ${interfaceName} address ${router.text} netns ${this.namespace}`,
		]);
		ipBatch([`link set ${farName} up`], this.#wireNamespace);
		ipBatch(
			[`link set ${interfaceName} up`, ...neighbourCommands(neighbours, interfaceName, wire.text), ...routes],
			this.namespace,
		);
		return { wire: new Wire(this.#wireNamespace, farIndex), from: wire.bytes, to: router.bytes, farName };
	}
}

/** The namespace of all far ends. */
export function openWireNamespace(name: string): { close(): void } {
	addQuietNamespace(name);
	return { close: () => removeNamespace(name) };
}
