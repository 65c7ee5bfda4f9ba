import type { Family, Logger } from '../../core/index.ts';
import { type Informer, type NodeFacts, nodeAnnotations, toNodeFacts } from '../../kubernetes/index.ts';
import { type Detection, type DetectionMethod, destinationOf, detect } from './detect.ts';
import type { HostAddresses } from './host.ts';

/** The detection method of each family. */
export type DetectionMethods = Readonly<Record<Family, DetectionMethod>>;

export interface AddressDetectorDependencies {
	readonly node: string;
	readonly nodes: Pick<Informer, 'items'>;
	readonly methods: DetectionMethods;
	readonly host: HostAddresses;
	readonly log: Logger;
}

/** The last decision for a family. */
export interface AddressFinding {
	readonly family: Family;
	readonly method: DetectionMethod;
	readonly reason: string;
	readonly problem?: string;
}

const annotationOf = { ipv4: nodeAnnotations.ipv4Address, ipv6: nodeAnnotations.ipv6Address } as const;

/** Decides the address annotations of this node's Node, and records the reasons. */
export class AddressDetector {
	readonly #dependencies: AddressDetectorDependencies;
	readonly #findings = new Map<Family, AddressFinding>();

	constructor(dependencies: AddressDetectorDependencies) {
		this.#dependencies = dependencies;
	}

	/** By family, at the last detection. */
	get findings(): readonly AddressFinding[] {
		return [...this.#findings.values()];
	}

	/** Contradictions, as text. */
	get problems(): readonly string[] {
		return this.findings.flatMap(({ problem }) => problem ?? []);
	}

	/** The annotations to write; `null` removes an annotation. */
	async annotations(facts: NodeFacts): Promise<Readonly<Record<string, string | null>>> {
		const { methods, host } = this.#dependencies;
		const links = await host.links();
		const taken = this.#taken();
		const annotations: Record<string, string | null> = {};
		for (const family of ['ipv4', 'ipv6'] as const) {
			const method = methods[family];
			const present = facts[family];
			const destination = destinationOf(method);
			const detection = detect({
				family,
				method,
				links,
				internalAddresses: facts.internalAddresses,
				present,
				presentIsLocal: present !== undefined && (await host.isLocal(present.address)),
				reached: destination === undefined ? undefined : await host.sourceTowards(destination, family),
				taken,
			});
			this.#remember(family, method, detection);
			if (detection.type === 'set')
				annotations[annotationOf[family]] = `${detection.address.address}/${detection.address.length}`;
			else if (detection.type === 'clear') annotations[annotationOf[family]] = null;
		}
		return annotations;
	}

	#taken(): ReadonlyMap<string, string> {
		const { node, nodes } = this.#dependencies;
		const taken = new Map<string, string>();
		for (const resource of nodes.items.values()) {
			if (resource.name === node) continue;
			const { ipv4, ipv6 } = toNodeFacts(resource);
			for (const own of [ipv4, ipv6]) if (own !== undefined) taken.set(own.address, resource.name);
		}
		return taken;
	}

	#remember(family: Family, method: DetectionMethod, { reason, problem, type }: Detection): void {
		const before = this.#findings.get(family);
		this.#findings.set(family, { family, method, reason, ...(problem === undefined ? {} : { problem }) });
		if (problem !== undefined && problem !== before?.problem)
			this.#dependencies.log.warn('address of this node', { family, method, problem, change: type });
	}
}
