/** A subnet of nodes: a switch, the router's address in it, and the top-of-rack router's. */
export interface LabSubnet {
	readonly name: string;
	readonly prefix: string;
	readonly length: number;
	readonly router: string;
	readonly tor: string;
}

/** A pod: a network namespace with one address of its node's block. */
export interface LabPod {
	readonly name: string;
	readonly address: string;
	/** The node's end of its cable. */
	readonly device: string;
}

/** A node: a network namespace with a daemon, a block of pod addresses, and a pod. */
export interface LabNode {
	readonly name: string;
	readonly address: string;
	readonly subnet: LabSubnet;
	readonly block: string;
	readonly pod: LabPod;
	readonly reflector: boolean;
}

/** The parts of the laboratory; all of it is derived from `mode`. */
export interface LabTopology {
	readonly mode: LabMode;
	readonly asNumber: number;
	readonly torAsNumber: number;
	readonly pool: string;
	/** Announced by the top-of-rack router, which has `serviceAddress`. */
	readonly servicePrefix: string;
	readonly serviceAddress: string;
	readonly clusterId: string;
	readonly subnets: readonly LabSubnet[];
	readonly nodes: readonly LabNode[];
}

/** Every node with every other one, or all of them with two reflectors. */
export type LabMode = 'mesh' | 'reflector';

const subnets: readonly LabSubnet[] = [1, 2].map((number) => ({
	name: `rack-${number}`,
	prefix: `10.0.${number}.0/24`,
	length: 24,
	router: `10.0.${number}.1`,
	tor: `10.0.${number}.254`,
}));

/** Two nodes in each of two subnets; the first of each is the reflector there. */
export function labTopology(mode: LabMode): LabTopology {
	const nodes = subnets.flatMap((subnet, rack) =>
		[0, 1].map((place): LabNode => {
			const number = rack * 2 + place + 1;
			const letter = String.fromCharCode(96 + number);
			return {
				name: `node-${letter}`,
				address: `10.0.${rack + 1}.${place + 2}`,
				subnet,
				block: `192.168.${number}.0/26`,
				pod: { name: `pod-${letter}`, address: `192.168.${number}.10`, device: `cali-${letter}` },
				reflector: mode === 'reflector' && place === 0,
			};
		}),
	);
	return {
		mode,
		asNumber: 64512,
		torAsNumber: 64999,
		pool: '192.168.0.0/16',
		servicePrefix: '203.0.113.0/24',
		serviceAddress: '203.0.113.1',
		clusterId: '10.255.0.1',
		subnets,
		nodes,
	};
}

/** The nodes that `node` has a session with: all, or the reflectors, which have all. */
export function sessionsOf(node: LabNode, { mode, nodes }: LabTopology): readonly LabNode[] {
	return nodes.filter((other) => other !== node && (mode === 'mesh' || node.reflector || other.reflector));
}
