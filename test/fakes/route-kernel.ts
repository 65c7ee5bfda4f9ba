import { formatAddress, type PrefixKey, parseAddress, parsePrefix, prefixContains } from '../../src/core/index.ts';
import { felixProtocol, isFelixRoute, isFormerRoute } from '../../src/fib/felix.ts';
import {
	type ForeignRoute,
	type KernelEvent,
	type KernelRoute,
	RouteError,
	type RouteFailure,
	type RouteKernel,
	type RouteOperation,
	type RouteOwnership,
} from '../../src/fib/index.ts';

interface Entry {
	readonly route: KernelRoute;
	readonly protocol: number;
}

interface FakeInterface {
	/** `10.7.0.1/24`. */
	readonly addresses: readonly string[];
	up: boolean;
}

/** A routing table that behaves as the kernel's: with the same refusals, removals and events. */
export class FakeRouteKernel implements RouteKernel {
	readonly enabled = true;
	readonly table = 254;
	readonly #interfaces = new Map<string, FakeInterface>();
	#entries: Entry[] = [];
	#ownership: RouteOwnership;
	#onEvent: ((event: KernelEvent) => void) | undefined;
	/** Every requested operation, in order. */
	readonly operations: RouteOperation[] = [];
	/** If set, `list` and `apply` throw it: netlink does not respond. */
	broken: Error | undefined;

	constructor(protocol: number) {
		this.#ownership = { protocol, felixFamilies: ['ipv4'] };
	}

	setOwnership(ownership: RouteOwnership): void {
		this.#ownership = ownership;
	}

	#isOurs({ route, protocol }: Entry): boolean {
		const { protocol: present, former, felixFamilies } = this.#ownership;
		if (protocol !== present) return protocol === former && (protocol !== felixProtocol || isFormerRoute(route));
		return protocol !== felixProtocol || !felixFamilies.includes(route.family) || !isFelixRoute(route);
	}

	get #protocol(): number {
		return this.#ownership.protocol;
	}

	async list(): Promise<readonly KernelRoute[]> {
		if (this.broken !== undefined) throw this.broken;
		return this.#entries
			.filter((entry) => this.#isOurs(entry))
			.map(({ route, protocol }) => ({ ...route, ...(protocol === this.#protocol ? {} : { protocol }) }));
	}

	async listForeign(): Promise<readonly ForeignRoute[]> {
		const connected = [...this.#interfaces].flatMap(([device, { addresses, up }]) =>
			up
				? addresses.map((address) => ({ ...this.#connected(address), via: undefined, device, metric: 0, protocol: 2 }))
				: [],
		);
		const others = this.#entries.filter((entry) => !this.#isOurs(entry) && entry.route.type === 'unicast');
		return [
			...connected,
			...others.map(({ route: { prefix, family, via, device, metric }, protocol }) => ({
				prefix,
				family,
				via,
				device,
				metric,
				protocol,
			})),
		];
	}

	async apply(operations: readonly RouteOperation[]): Promise<readonly RouteFailure[]> {
		if (this.broken !== undefined) throw this.broken;
		this.operations.push(...operations);
		return operations.flatMap((operation) => {
			const error = this.#carryOut(operation);
			return error === undefined ? [] : [{ operation, error }];
		});
	}

	watch(onEvent: (event: KernelEvent) => void): void {
		this.#onEvent = onEvent;
	}

	close(): void {
		this.#onEvent = undefined;
	}

	/** An interface with addresses. */
	setInterface(name: string, addresses: readonly string[], up = true): void {
		this.#interfaces.set(name, { addresses, up });
		this.#tell({ type: 'interface' });
	}

	/** Down: its routes are removed without an event. */
	setUp(name: string, up: boolean): void {
		const found = this.#interfaces.get(name);
		if (found !== undefined) found.up = up;
		if (!up) this.#entries = this.#entries.filter(({ route }) => route.device !== name);
		this.#tell({ type: 'interface' });
	}

	/** Another program adds a route of a protocol, possibly with our protocol. */
	addByOthers(route: KernelRoute, protocol: number): void {
		this.#entries.push({ route, protocol });
		this.#tell(
			protocol === this.#protocol
				? { type: 'own-route', change: 'added', route }
				: { type: 'foreign-route', family: route.family, protocol, device: route.device, metric: route.metric },
		);
	}

	/** Another program puts a route before all existing ones. */
	prependByOthers(route: KernelRoute, protocol: number): void {
		this.#entries.unshift({ route, protocol });
		this.#tell({ type: 'foreign-route', family: route.family, protocol, device: route.device, metric: route.metric });
	}

	/** Another program removes all routes to a prefix. */
	removeByOthers(prefix: PrefixKey): void {
		const gone = this.#entries.filter(({ route }) => route.prefix === prefix);
		this.#entries = this.#entries.filter(({ route }) => route.prefix !== prefix);
		for (const { route, protocol } of gone) {
			this.#tell(
				protocol === this.#protocol
					? { type: 'own-route', change: 'removed', route: { ...route } }
					: { type: 'foreign-route', family: route.family, protocol, device: route.device, metric: route.metric },
			);
		}
	}

	/** The event buffer overflows. */
	overflow(): void {
		this.#tell({ type: 'resync' });
	}

	#tell(event: KernelEvent): void {
		this.#onEvent?.(event);
	}

	#connected(address: string) {
		const { bytes, length, family } = parsePrefix(address, 'clear');
		return { prefix: `${formatAddress(bytes)}/${length}` as PrefixKey, family };
	}

	#carryOut({ type, route }: RouteOperation): RouteError | undefined {
		const held = this.#entries.findIndex(
			({ route: other }) => other.prefix === route.prefix && other.metric === route.metric,
		);
		if (type === 'remove') {
			this.#entries = this.#entries.filter(
				({ route: other, protocol }) => protocol !== (route.protocol ?? this.#protocol) || !isTwin(other, route),
			);
			return undefined;
		}
		const refusal = this.#refusal(route);
		if (refusal !== undefined) return refusal;
		if (type === 'add' && held >= 0)
			return new RouteError('EEXIST', 'a route of another owner holds this prefix and metric');
		const ours = this.#entries.findIndex(
			({ route: other, protocol }) =>
				(protocol === this.#protocol || protocol === this.#ownership.former) &&
				other.prefix === route.prefix &&
				other.metric === route.metric,
		);
		if (type === 'replace' && ours < 0) return new RouteError('ENOENT');
		const entry = { route: { ...route, device: route.device ?? this.#deviceTo(route.via) }, protocol: this.#protocol };
		if (type === 'add') this.#entries.push(entry);
		else this.#entries[ours] = entry;
		return undefined;
	}

	#refusal({ type, via, device, onlink }: KernelRoute): RouteError | undefined {
		if (type === 'blackhole') return undefined;
		const found = device === undefined ? undefined : this.#interfaces.get(device);
		if (device !== undefined && found === undefined) return new RouteError('ENODEV', `there is no interface ${device}`);
		if (found?.up === false) return new RouteError('ENETDOWN', 'Nexthop device is not up');
		const reaching = this.#deviceTo(via);
		if (!onlink && (reaching === undefined || (device !== undefined && device !== reaching)))
			return new RouteError('ENETUNREACH', 'Nexthop has invalid gateway');
		return undefined;
	}

	#deviceTo(via: string | undefined): string | undefined {
		if (via === undefined) return undefined;
		const address = parseAddress(via);
		for (const [name, { addresses, up }] of this.#interfaces) {
			if (up && addresses.some((own) => prefixContains(parsePrefix(own, 'clear'), address))) return name;
		}
		return undefined;
	}
}

function isTwin(left: KernelRoute, right: KernelRoute): boolean {
	const agrees = (one: string | undefined, other: string | undefined) =>
		one === undefined || other === undefined || one === other;
	return (
		left.prefix === right.prefix &&
		left.metric === right.metric &&
		left.type === right.type &&
		agrees(left.via, right.via) &&
		agrees(left.device, right.device)
	);
}
