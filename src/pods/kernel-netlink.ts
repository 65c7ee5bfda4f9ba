import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import {
	addressBytes,
	type Family,
	familyOf,
	formatAddress,
	isLinkLocal,
	parseAddress,
	podInterfacePrefix,
} from '../core/index.ts';
import {
	inNetworkNamespace,
	type Link,
	type LinkAddress,
	NetlinkError,
	type NextHop,
	type RouteMessage,
	RouteScope,
	RouteTable,
	RouteType,
	Rtnetlink,
	writeSetting,
} from '../linux/index.ts';
import {
	type CreatedPair,
	type HostInterface,
	type InterfacePlan,
	type PodEnd,
	type PodKernel,
	RouteTakenError,
} from './kernel.ts';
import { formatOwner, gatewayIpv4, gatewayIpv6, hostMac, parseOwner } from './names.ts';
import { hostSettings, podSettings, type Setting } from './settings.ts';

/** RTPROT_BOOT: Calico's plugin writes the route of a pod with it. */
const routeProtocol = 3;
/** The kernel gives an IPv6 route without a metric this one. */
const ipv6Metric = 1024;
const linkLocalAttempts = 25;
const linkLocalPauseMs = 20;

/** The kernel of the namespace that this is called in. @throws SystemCallError */
export function openPodKernel(): PodKernel {
	return new NetlinkPodKernel();
}

function write(settings: readonly Setting[]): void {
	for (const { path, value, optional } of settings) {
		try {
			writeSetting(`net/${path}`, value);
		} catch (error) {
			if (!optional) throw error;
		}
	}
}

function routeMessage(destination: string, length: number | undefined, hop: NextHop): RouteMessage {
	const { bytes } = parseAddress(destination);
	const family = familyOf(bytes);
	return {
		family,
		destination: bytes,
		length: length ?? addressBytes[family] * 8,
		table: RouteTable.main,
		protocol: routeProtocol,
		type: RouteType.unicast,
		priority: family === 'ipv4' ? 0 : ipv6Metric,
		nextHops: [hop],
	};
}

class NetlinkPodKernel implements PodKernel {
	readonly #host = new Rtnetlink();

	async interfaces(): Promise<readonly HostInterface[]> {
		const links = await this.#host.links();
		return links.filter(({ name }) => name.startsWith(podInterfacePrefix)).map(toHostInterface);
	}

	async find(name: string): Promise<HostInterface | undefined> {
		const link = await this.#host.link({ name });
		return link === undefined ? undefined : toHostInterface(link);
	}

	async create({ hostName, owner, namespace, mtuBytes, mac, families }: InterfacePlan): Promise<CreatedPair> {
		const namespaceFd = openSync(namespace, 'r');
		let host: Link;
		try {
			host = await this.#host.addVeth({
				host: { name: hostName, mac: hostMac },
				peer: { name: owner.ifname, mac },
				peerNamespaceFd: namespaceFd,
				mtuBytes,
				alias: formatOwner(owner),
			});
		} finally {
			closeSync(namespaceFd);
		}
		if (host.link === undefined) throw new Error(`${hostName}: the kernel did not return its other end`);
		const pod = inNetworkNamespace(namespace, () => {
			write(podSettings(owner.ifname, families));
			return new Rtnetlink();
		});
		try {
			await this.restore(hostName, host.index, families);
			const { addresses, routes } = podEnd(host.link, owner.addresses, families);
			const peer = await pod.configureLink(host.link, addresses, routes);
			if (families.includes('ipv6')) await this.#linkLocal(host.index);
			return { index: host.index, mac: peer.mac ?? new Uint8Array(0), mtuBytes: peer.mtuBytes };
		} finally {
			pod.close();
		}
	}

	async restore(name: string, index: number, families: readonly Family[]): Promise<void> {
		const rpFilter = readFileSync('/proc/sys/net/ipv4/conf/default/rp_filter', 'utf8').trim();
		write(hostSettings(name, families, rpFilter));
		await this.#host.changeLink({ index, up: true });
	}

	async addRoutes(addresses: readonly string[], index: number): Promise<void> {
		const hop = { gateway: undefined, outInterface: index, onlink: false };
		const routes = addresses.map((address) => routeMessage(address, undefined, hop));
		const refusals = await this.#host.changeRoutes(routes.map((route) => ({ verb: 'add', route })));
		for (const [position, refused] of refusals) {
			if (refused.code !== 'EEXIST') throw refused;
			const address = addresses[position] ?? '';
			const present = await this.#podRoutes(familyOf(parseAddress(address).bytes));
			const taken = present.find((route) => route.address === address);
			if (taken?.index !== index) throw new RouteTakenError(address, taken?.index);
		}
	}

	async routedAddresses(index: number): Promise<readonly string[]> {
		const routes = [...(await this.#podRoutes('ipv4')), ...(await this.#podRoutes('ipv6'))];
		return routes.filter((route) => route.index === index).map(({ address }) => address);
	}

	async remove(index: number): Promise<void> {
		try {
			await this.#host.removeLink(index);
		} catch (error) {
			if (!(error instanceof NetlinkError && error.code === 'ENODEV')) throw error;
		}
	}

	async inspect(namespace: string, ifname: string): Promise<PodEnd | undefined> {
		const pod = inNetworkNamespace(namespace, () => new Rtnetlink());
		try {
			const link = (await pod.links()).find(({ name }) => name === ifname);
			if (link === undefined) return undefined;
			const addresses = (await pod.addresses()).filter(
				({ interfaceIndex, address }) => interfaceIndex === link.index && !isLinkLocal(address),
			);
			const routes = await Promise.all(
				(['ipv4', 'ipv6'] as const).map((family) => pod.routes({ family, table: RouteTable.main })),
			);
			const defaults = routes.flat().filter(({ length, nextHops }) => {
				const [hop] = nextHops;
				return length === 0 && hop?.outInterface === link.index;
			});
			return {
				mac: link.mac ?? new Uint8Array(0),
				mtuBytes: link.mtuBytes,
				addresses: addresses.map(({ address }) => formatAddress(address)),
				defaultRoutes: defaults.map(({ family }) => family),
			};
		} finally {
			pod.close();
		}
	}

	async uplinkMtuBytes(): Promise<number | undefined> {
		for (const family of ['ipv4', 'ipv6'] as const) {
			const routes = await this.#host.routes({ family, table: RouteTable.main });
			const [first] = routes.filter(({ length }) => length === 0).sort((a, b) => a.priority - b.priority);
			const index = first?.nextHops[0]?.outInterface;
			if (index === undefined) continue;
			return (await this.#host.links()).find((link) => link.index === index)?.mtuBytes;
		}
		return undefined;
	}

	close(): void {
		this.#host.close();
	}

	/** The host routes of single addresses. */
	async #podRoutes(
		family: Family,
	): Promise<readonly { readonly address: string; readonly index: number | undefined }[]> {
		const whole = addressBytes[family] * 8;
		return (await this.#host.routes({ family, table: RouteTable.main }))
			.filter(({ length, type }) => length === whole && type === RouteType.unicast)
			.map(({ destination, nextHops }) => ({
				address: formatAddress(destination),
				index: nextHops[0]?.outInterface,
			}));
	}

	/**
	 * Waits for the node's end to have the link-local address that pods use as gateway; it comes with
	 * the carrier.
	 */
	async #linkLocal(index: number): Promise<void> {
		const wanted = { bytes: parseAddress(gatewayIpv6).bytes };
		for (let attempt = 0; attempt < linkLocalAttempts; attempt++) {
			const addresses = await this.#host.addresses(['ipv6']);
			const own = addresses.filter(({ interfaceIndex }) => interfaceIndex === index);
			if (own.some(({ address }) => Buffer.from(address).equals(wanted.bytes))) return;
			await pause(linkLocalPauseMs);
		}
		await this.#host.changeAddress('add', {
			family: 'ipv6',
			address: wanted.bytes,
			length: 64,
			interfaceIndex: index,
			scope: RouteScope.link,
		});
	}
}

const toHostInterface = ({ name, index, up, alias }: Link): HostInterface => ({
	name,
	index,
	up,
	owner: parseOwner(alias),
});

/** The addresses, the gateway's own route and the default route of the pod's end. Pure. */
function podEnd(
	index: number,
	own: readonly string[],
	families: readonly Family[],
): { readonly addresses: readonly LinkAddress[]; readonly routes: readonly RouteMessage[] } {
	const routes: RouteMessage[] = [];
	if (families.includes('ipv4')) {
		const onLink = { gateway: undefined, outInterface: index, onlink: false };
		const byGateway = { gateway: parseAddress(gatewayIpv4).bytes, outInterface: index, onlink: false };
		routes.push(routeMessage(gatewayIpv4, undefined, onLink), routeMessage('0.0.0.0', 0, byGateway));
	}
	if (families.includes('ipv6')) {
		const byGateway = { gateway: parseAddress(gatewayIpv6).bytes, outInterface: index, onlink: false };
		routes.push(routeMessage('::', 0, byGateway));
	}
	const addresses = own.map((text) => {
		const { bytes } = parseAddress(text);
		const family = familyOf(bytes);
		const length = addressBytes[family] * 8;
		return { family, address: bytes, length, interfaceIndex: index, scope: RouteScope.universe };
	});
	return { addresses, routes };
}
