import { type Family, formatAddress } from '../../core/index.ts';
import { type LoadRules, NfTablesError, RulesetError, type SetElement } from '../../linux/index.ts';
import type {
	Backend,
	Frontend,
	FrontendKey,
	PoolKey,
	ServiceCounters,
	ServiceKernel,
	ServiceOutcome,
	ServicesDifference,
	ServicesModel,
	SyncReport,
} from '../../services/index.ts';
import { removedLater, sizeOf, type TableContent, tableDifference } from '../table.ts';
import { TableKernel } from '../table-kernel.ts';
import { frontendKeyBytes, frontendKeyOf, readDrawn } from './elements.ts';
import { countedSet, type FrontendKind, families, frontMap, isBackendMap, kindOf } from './names.ts';
import { ServicesRuleset } from './ruleset.ts';

/** Our table of services: it holds nothing but services, and survives the daemon. */
export const servicesTable = 'bgpmesh_services';

export interface NftablesServicesDependencies {
	readonly load: LoadRules;
}

/** Services in nftables, in the network namespace that this was made in. */
export class NftablesServices implements ServiceKernel, ServiceCounters {
	readonly name = 'nftables';
	readonly #table: TableKernel;
	#isSynced = false;
	readonly #ruleset = new ServicesRuleset();

	/** @throws SystemCallError */
	constructor({ load }: NftablesServicesDependencies) {
		this.#table = new TableKernel('inet', servicesTable, { load });
	}

	close(): void {
		this.#table.close();
	}

	/**
	 * `false`: others removed or changed chains or sets of the table; `sync` puts them right. Before
	 * the first `sync`: `true`.
	 */
	async isIntact(): Promise<boolean> {
		if (!this.#isSynced) return true;
		const { chains, sets } = this.#ruleset.structure();
		return this.#table.holds(chains, sets);
	}

	async outcomes(): Promise<Readonly<Record<ServiceOutcome, number>>> {
		const packets = new Map((await this.#table.counters()).map((counter) => [counter.name, counter.packets]));
		const of = (outcome: ServiceOutcome): number => packets.get(outcome) ?? 0;
		return {
			translated: of('translated'),
			rejected: of('rejected'),
			dropped: of('dropped'),
			'source-refused': of('source-refused'),
			'unused-address': of('unused-address'),
		};
	}

	async frontends(): Promise<ReadonlyMap<FrontendKey, number>> {
		const connections = new Map<FrontendKey, number>();
		for (const family of families)
			for (const kind of ['address', 'port'] as const)
				for (const { key, packets } of await this.#table.elements(countedSet(family, kind))) {
					const frontend = frontendKeyOf(family, kind, key);
					if (frontend !== undefined && packets !== undefined) connections.set(frontend, packets);
				}
		return connections;
	}

	/** Resolves when the kernel holds nothing that nothing refers to. */
	async settled(): Promise<void> {
		await this.#table.change(this.#ruleset.dropKept());
		await this.#table.settled();
	}

	/** Number of the kernel's ruleset; it changes when others change anything. */
	generation(): Promise<number> {
		return this.#table.generation();
	}

	async numbers(): Promise<ReadonlyMap<PoolKey, readonly Backend[]>> {
		return readNumbers(await this.#table.read());
	}

	async sync(model: ServicesModel): Promise<SyncReport> {
		this.#ruleset.replace(model);
		const change = removedLater(tableDifference(await this.#table.read(), this.#ruleset.spec()), isBackendMap);
		try {
			await this.#table.change(change);
		} catch (error) {
			if (!(error instanceof RulesetError)) throw error;
			// nft cannot use every map that it reads back (names.ts). A table that is made as a
			// whole has none of these; clients with session affinity draw again.
			await this.#table.remove();
			await this.#table.change(tableDifference(await this.#table.read(), this.#ruleset.spec()));
		}
		this.#isSynced = true;
		return sizeOf(change);
	}

	async apply(difference: ServicesDifference, _model: ServicesModel): Promise<void> {
		const { change, forget } = this.#ruleset.change(difference);
		await this.#table.change(change);
		if (forget.length > 0) await this.#forgetClients(forget);
	}

	async remove(): Promise<void> {
		this.#isSynced = false;
		await this.#table.remove();
	}

	/** All clients with session affinity draw again. */
	async forgetAllClients(): Promise<void> {
		for (const { name } of await this.#stickySets())
			for (const element of await this.#clientsIn(name)) await this.#forget(name, element);
	}

	/**
	 * Clients of these frontends draw again: the number that they remember stands for another
	 * backend.
	 */
	async #forgetClients(frontends: readonly Frontend[]): Promise<void> {
		const keys = new Map(
			frontends.map((frontend) => [
				`${frontend.family} ${kindOf(frontend)} ${Buffer.from(frontendKeyBytes(frontend)).toString('hex')}`,
				frontend,
			]),
		);
		for (const { name, family, kind } of await this.#stickySets()) {
			const addressBytes = family === 'ipv4' ? 4 : 16;
			const doomed = (await this.#clientsIn(name)).filter(({ key }) =>
				keys.has(`${family} ${kind} ${Buffer.from(key.subarray(addressBytes)).toString('hex')}`),
			);
			for (const element of doomed) await this.#forget(name, element);
		}
	}

	/** A set that nothing refers to may be swept meanwhile: then it has no clients. */
	async #clientsIn(set: string): Promise<readonly SetElement[]> {
		try {
			return await this.#table.elements(set);
		} catch (error) {
			if (error instanceof NfTablesError && error.code === 'ENOENT') return [];
			throw error;
		}
	}

	/** One at a time: an element that ended meanwhile must not keep the others. */
	async #forget(set: string, { key }: SetElement): Promise<void> {
		try {
			await this.#table.changeElements([{ set, verb: 'remove', elements: [{ key }] }]);
		} catch (error) {
			if (!(error instanceof NfTablesError) || error.code !== 'ENOENT') throw error;
		}
	}

	async #stickySets(): Promise<{ name: string; family: Family; kind: FrontendKind }[]> {
		return (await this.#table.setNames()).flatMap((name) => {
			const [, port, digit] = /^(port-)?stick-([46])-/.exec(name) ?? [];
			if (digit === undefined) return [];
			return [{ name, family: digit === '4' ? 'ipv4' : 'ipv6', kind: port === undefined ? 'address' : 'port' }];
		});
	}
}

/**
 * Which backend has which number: from the maps of backends, and the names of service ports beside
 * the frontends. Pure.
 */
export function readNumbers({ sets }: Pick<TableContent, 'sets'>): Map<PoolKey, Backend[]> {
	const numbers = new Map<PoolKey, Backend[]>();
	const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
	for (const family of families) {
		for (const kind of ['address', 'port'] as const) {
			const ports = new Map<string, string>();
			for (const { key, comment } of sets.get(frontMap(family, kind))?.elements ?? [])
				if (comment !== undefined) ports.set(hex(key), comment);
			const addressBytes = family === 'ipv4' ? 4 : 16;
			for (const [name, { elements }] of sets) {
				const place = placeOf(name, family, kind);
				if (place === undefined) continue;
				for (const { key, data } of elements) {
					const own = place.index === undefined ? key.subarray(0, -4) : key;
					const servicePort = ports.get(hex(own));
					if (servicePort === undefined || !(data instanceof Uint8Array)) continue;
					const view = new DataView(data.buffer, data.byteOffset, data.length);
					const backend = {
						address: formatAddress(data.slice(0, addressBytes)),
						port: view.getUint16(addressBytes),
						local: false,
					};
					const index = place.index ?? readDrawn(key);
					const pool = `${servicePort}#${place.variant}`;
					const list = numbers.get(pool) ?? [];
					list[index] = backend;
					numbers.set(pool, list);
				}
			}
		}
	}
	// A list with a gap is of a table that others changed: those numbers are given anew.
	for (const [key, list] of numbers) if (Array.from(list).some((backend) => backend === undefined)) numbers.delete(key);
	return numbers;
}

/** What a map of backends holds, by its name. */
function placeOf(
	name: string,
	family: Family,
	kind: FrontendKind,
): { readonly variant: string; readonly index: number | undefined } | undefined {
	const [, port, which, digit, variant, number] = /^(port-)?(to|pick)-([46])-(cluster|local)-(\d+)$/.exec(name) ?? [];
	if (variant === undefined || (port === undefined) !== (kind === 'address')) return undefined;
	if ((digit === '4') !== (family === 'ipv4')) return undefined;
	return { variant, index: which === 'pick' ? Number(number) : undefined };
}
