import { type Family, formatPrefix, type Logger, type PrefixKey } from '../core/index.ts';
import {
	decodeLink,
	decodeRoute,
	Group,
	type Message,
	MessageType,
	NetlinkEvents,
	type RouteFilter,
	type RouteMessage,
	RouteTable,
	RouteType,
	Rtnetlink,
	routeTypeOf,
} from '../linux/index.ts';
import { felixProtocol, isFelixRoute, isFormerRoute, mayBeFelix } from './felix.ts';
import {
	type ForeignRoute,
	type KernelEvent,
	type KernelRoute,
	RouteError,
	type RouteFailure,
	type RouteKernel,
	type RouteOperation,
	type RouteOwnership,
} from './kernel.ts';
import { Links } from './links.ts';
import { NextHopObjects } from './next-hop-objects.ts';
import { isWrittenType, RouteMessages } from './route-messages.ts';
import { othersFirst, slices } from './slices.ts';

export interface NetlinkKernelOptions {
	readonly routeProtocol: number;
	/** Default 254, the main table. */
	readonly table?: number;
	/** Called with an exception of a watcher. */
	readonly onFault?: (error: unknown) => void;
}

const families: readonly Family[] = ['ipv4', 'ipv6'];
const groups = [Group.link, Group.ipv4Address, Group.ipv6Address, Group.ipv4Route, Group.ipv6Route];

/** Opens the kernel of the present network namespace. @throws SystemCallError */
export function openNetlinkKernel(options: NetlinkKernelOptions, log: Logger): RouteKernel {
	return new NetlinkKernel(options, log);
}

class NetlinkKernel implements RouteKernel {
	readonly enabled = true;
	#protocol: number;
	readonly table: number;
	readonly #log: Logger;
	readonly #onFault: ((error: unknown) => void) | undefined;
	readonly #netlink = new Rtnetlink();
	readonly #links = new Links();
	#linksKnown = false;
	#felixFamilies: readonly Family[] = ['ipv4'];
	/** The number that marked our routes before; routes with it are read until there are none. */
	#former: number | undefined;
	/**
	 * Metrics of foreign routes by prefix, of any type: the kernel's replace operation could hit
	 * one of them.
	 */
	readonly #foreignMetrics = new Map<PrefixKey, Set<number>>();
	readonly #messages: RouteMessages;
	readonly #objects: NextHopObjects;
	#events: NetlinkEvents | undefined;

	constructor({ routeProtocol, table = RouteTable.main, onFault }: NetlinkKernelOptions, log: Logger) {
		this.#onFault = onFault;
		this.#protocol = routeProtocol;
		this.table = table;
		this.#log = log;
		this.#messages = new RouteMessages(table, routeProtocol, this.#links);
		this.#objects = new NextHopObjects(this.#netlink, routeProtocol, this.#links, (address) =>
			this.#messages.bytesOf(address),
		);
	}

	async list(): Promise<readonly KernelRoute[]> {
		await this.#learnLinks(true);
		const objects = new Set<number>();
		const lists: (readonly KernelRoute[])[] = [];
		for (const family of families) lists.push(await this.#listProtocol(family, this.#protocol, objects));
		if (this.#former !== undefined) {
			const former: (readonly KernelRoute[])[] = [];
			for (const family of families) former.push(await this.#listProtocol(family, this.#former, objects));
			if (former.every((list) => list.length === 0)) this.#former = undefined;
			lists.push(...former);
		}
		await this.#objects.learn(objects);
		const filled = lists.filter((list) => list.length > 0);
		return filled.length === 1 ? (filled[0] ?? []) : filled.flat();
	}

	#listProtocol(family: Family, protocol: number, objects: Set<number>): Promise<KernelRoute[]> {
		const own = (route: KernelRoute, nextHopId: number): KernelRoute | undefined => {
			if (!this.#isOurs(route, protocol)) return undefined;
			if (nextHopId !== 0) objects.add(nextHopId);
			return protocol === this.#protocol ? route : { ...route, protocol };
		};
		return this.#netlink.listRoutes<KernelRoute>(
			{ family, table: this.table, protocol },
			{
				full: (message) =>
					isWrittenType(message.type) ? own(this.#messages.decode(message), message.nextHopId ?? 0) : undefined,
				plain: (listed) => own(this.#messages.decodeListed(listed), listed.nextHopId),
			},
		);
	}

	async listForeign(): Promise<readonly ForeignRoute[]> {
		await this.#learnLinks(true);
		const routes: ForeignRoute[] = [];
		this.#foreignMetrics.clear();
		for (const family of families) {
			for (const slice of slices(
				await this.#netlink.routes({ family, table: this.table, ...this.#exceptOurs(family) }),
			)) {
				for (const message of slice) this.#fileForeign(message, routes);
				await othersFirst();
			}
		}
		return routes;
	}

	#fileForeign(message: RouteMessage, routes: ForeignRoute[]): void {
		const { destination, length, protocol, priority, type, nextHops, family } = message;
		const [hop] = nextHops;
		if (this.#mayBeOurs(protocol) && isWrittenType(type) && this.#isOurs(this.#messages.decode(message), protocol))
			return;
		const prefix = formatPrefix(destination, length);
		this.#noteForeign(prefix, priority);
		if (type === RouteType.unicast && hop !== undefined)
			routes.push({ prefix, family, ...this.#messages.hopOf(hop), metric: priority, protocol });
	}

	setOwnership({ protocol, former, felixFamilies }: RouteOwnership): void {
		this.#protocol = protocol;
		this.#former = former;
		this.#felixFamilies = felixFamilies;
		this.#messages.setProtocol(protocol);
		this.#objects.setProtocol(protocol, former);
	}

	#mayBeOurs(protocol: number): boolean {
		return protocol === this.#protocol || protocol === this.#former;
	}

	/** For a route with one of our protocols: Felix, too, marks its own with one of them. */
	#isOurs(route: KernelRoute, protocol: number): boolean {
		if (protocol !== felixProtocol) return true;
		if (protocol !== this.#protocol) return isFormerRoute(route);
		return !this.#felixFamilies.includes(route.family) || !isFelixRoute(route);
	}

	/** Most routes are ours: they are skipped before they are decoded. */
	#exceptOurs(family: Family): Pick<RouteFilter, 'exceptProtocol' | 'unless'> {
		const keeps = this.#protocol === felixProtocol && this.#felixFamilies.includes(family);
		return {
			exceptProtocol: this.#protocol,
			unless: (message: Message) => !isWrittenType(routeTypeOf(message)) || (keeps && mayBeFelix(message, family)),
		};
	}

	async apply(operations: readonly RouteOperation[]): Promise<readonly RouteFailure[]> {
		await this.#learnLinks(false);
		if (operations.length <= operationsOfFirstPart) return this.#applyPart(operations);
		const failures: RouteFailure[] = [];
		let before: Promise<readonly RouteFailure[]> = Promise.resolve([]);
		let start = 0;
		let end = operationsOfFirstPart;
		while (start < operations.length) {
			const part = this.#applyPart(operations.slice(start, end));
			// A failure is thrown by the next `await before`.
			part.catch(() => undefined);
			failures.push(...(await before));
			before = part;
			start = end;
			end += operationsPerPart;
			// The kernel begins with this part before the next one is prepared.
			await othersFirst();
		}
		return [...failures, ...(await before)];
	}

	/** Two parts may be in progress: one is prepared while the kernel works on the other. */
	async #applyPart(operations: readonly RouteOperation[]): Promise<readonly RouteFailure[]> {
		const failures: RouteFailure[] = [];
		const steps = this.#isPlain(operations) ? operations : this.#stepsOf(operations, failures);
		const objects = await this.#objects.idsOf(steps);
		const refused = await this.#netlink.streamMessages(steps.length, (writer, position, sequence) => {
			const step = steps[position];
			if (step !== undefined) this.#messages.encode(writer, step.type, step.route, sequence, objects[position] ?? 0);
		});
		const gone: KernelRoute[] = [];
		for (const [position, { code, sentence }] of refused) {
			const step = steps[position];
			if (step === undefined) continue;
			// An absent route counts as removed.
			if (step.type === 'remove' && code === 'ESRCH') {
				gone.push(step.route);
				continue;
			}
			const reason = code === 'EEXIST' ? 'a route of another owner holds this prefix and metric' : sentence;
			failures.push({ operation: 'of' in step ? step.of : step, error: new RouteError(code, reason) });
		}
		if (gone.length > 0) await this.#removeOtherwise(gone);
		return failures;
	}

	/**
	 * True if each operation is one message: all devices exist, and no route of another owner is in
	 * the place of a replaced one. Neighbouring operations mostly have one device.
	 */
	#isPlain(operations: readonly RouteOperation[]): boolean {
		const foreign = this.#foreignMetrics;
		let device: string | undefined;
		for (const { type, route } of operations) {
			if (route.others !== undefined || (route.device !== device && this.#missingDevice(route) !== undefined))
				return false;
			device = route.device;
			if (type === 'replace' && foreign.size > 0 && foreign.get(route.prefix)?.has(route.metric) === true) return false;
		}
		return true;
	}

	/** The messages of operations, and those that no message can carry out. */
	#stepsOf(operations: readonly RouteOperation[], failures: RouteFailure[]): readonly Step[] {
		const steps: Step[] = [];
		for (const operation of operations) {
			const { route } = operation;
			const missing = this.#missingDevice(route);
			if (missing !== undefined)
				failures.push({ operation, error: new RouteError('ENODEV', `there is no interface ${missing}`) });
			else if (operation.type === 'replace' && this.#foreignMetrics.get(route.prefix)?.has(route.metric) === true)
				steps.push(...appendAndRemove(operation));
			else steps.push(operation);
		}
		return steps;
	}

	/** If no route has this gateway, the route may have an object, or the other way round. */
	async #removeOtherwise(routes: readonly KernelRoute[]): Promise<void> {
		const candidates = routes.flatMap((route) => {
			const id = this.#objects.idOf(route);
			return id === 0 ? [] : [{ route, id }];
		});
		await this.#netlink.streamMessages(candidates.length * 2, (writer, position, sequence) => {
			const candidate = candidates[position >> 1];
			if (candidate !== undefined)
				this.#messages.encode(writer, 'remove', candidate.route, sequence, position % 2 === 0 ? candidate.id : 0);
		});
	}

	#noteForeign(prefix: PrefixKey, metric: number): void {
		const metrics = this.#foreignMetrics.get(prefix);
		if (metrics === undefined) this.#foreignMetrics.set(prefix, new Set([metric]));
		else metrics.add(metric);
	}

	/** The name of a device of this route that does not exist. */
	#missingDevice({ device, others }: KernelRoute): string | undefined {
		if (device !== undefined && !this.#links.has(device)) return device;
		return others?.find((hop) => hop.device !== undefined && !this.#links.has(hop.device))?.device;
	}

	watch(onEvent: (event: KernelEvent) => void): void {
		this.#events = new NetlinkEvents({
			groups,
			ignorePortId: this.#netlink.portId,
			onMessage: (message) => this.#onMessage(message, onEvent),
			onFault: this.#onFault,
			onLoss: (reason) => {
				this.#log.warn('kernel events were lost', { reason });
				this.#linksKnown = false;
				onEvent({ type: 'resync' });
			},
		});
	}

	close(): void {
		this.#events?.close();
		this.#netlink.close();
	}

	#onMessage(message: Message, onEvent: (event: KernelEvent) => void): void {
		switch (message.type) {
			case MessageType.newLink:
			case MessageType.deleteLink: {
				const { index, name } = decodeLink(message);
				if (message.type === MessageType.newLink) this.#links.set(index, name);
				else this.#links.remove(index);
				onEvent({ type: 'interface' });
				break;
			}
			case MessageType.newAddress:
				onEvent({ type: 'address-added' });
				break;
			case MessageType.deleteAddress:
				onEvent({ type: 'interface' });
				break;
			case MessageType.newRoute:
			case MessageType.deleteRoute: {
				const decoded = decodeRoute(message);
				if (decoded?.table !== this.table) break;
				const mayBeOwn = decoded.protocol === this.#protocol && isWrittenType(decoded.type);
				const own = mayBeOwn ? this.#messages.decode(decoded) : undefined;
				if (own === undefined || !this.#isOurs(own, decoded.protocol)) {
					if (message.type === MessageType.newRoute)
						this.#noteForeign(formatPrefix(decoded.destination, decoded.length), decoded.priority);
					const [hop] = decoded.nextHops;
					const { family, protocol, priority: metric } = decoded;
					onEvent({ type: 'foreign-route', family, protocol, device: hop && this.#messages.hopOf(hop).device, metric });
				} else
					onEvent({
						type: 'own-route',
						change: message.type === MessageType.newRoute ? 'added' : 'removed',
						route: own,
					});
				break;
			}
		}
	}

	async #learnLinks(again: boolean): Promise<void> {
		// Without events, interface names are valid only at the time of the read.
		if (this.#linksKnown && !again && this.#events !== undefined) return;
		await this.#links.read(this.#netlink);
		this.#linksKnown = true;
	}
}

/** The kernel begins early. */
const operationsOfFirstPart = 1000;
/** Operations that are checked and written in one turn of the event loop: some 2 milliseconds. */
const operationsPerPart = 4000;

/** A message, and the operation that it implements in part. */
type Step =
	| RouteOperation
	| { readonly type: 'append' | 'remove'; readonly route: KernelRoute; readonly of: RouteOperation };

/**
 * The kernel replaces the first route of that prefix and metric, of any owner. If another owner has
 * such a route, the new route is appended and the old one removed: a removal matches protocol and
 * gateway.
 */
const appendAndRemove = (operation: RouteOperation & { readonly type: 'replace' }): Step[] => [
	{ type: 'append', route: operation.route, of: operation },
	{ type: 'remove', route: operation.old, of: operation },
];
