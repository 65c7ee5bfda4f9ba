import type { Family } from '../../core/index.ts';
import type { DirectNodes } from '../../ebpf/index.ts';
import type { NodeFacts } from '../../kubernetes/index.ts';
import type { DirectReturn } from '../../services/index.ts';
import { macOf, macText, parseMac, type VxlanState } from '../../vxlan/index.ts';
import { type NodeState, vxlanStateOf } from '../node-state.ts';

/** Numbers of VXLAN networks have 24 bits. */
const mostVni = 0xffffff;

/** The inputs of direct server return at this node. */
export interface DirectState {
	/** `undefined`: it is off. */
	readonly option: DirectReturn | undefined;
	/** The device to the other nodes, with an entry for each of them. */
	readonly mesh: VxlanState;
	/** Other nodes that announce that they take untranslated packets. */
	readonly nodes: DirectNodes;
	/** What this node announces when it takes them: the MAC address of its device. */
	readonly mac: string;
	/** What its Node has. */
	readonly announced: string | undefined;
}

/**
 * Direct server return as asked for: by the file, else by FelixConfiguration. `undefined`: off.
 * Only programs can do it, and they translate services only with policy. Pure.
 */
export function directReturnOf({ config, cluster }: Pick<NodeState, 'config' | 'cluster'>): DirectReturn | undefined {
	const { proxy, directServerReturn, directServerReturnOptOut } = config.services;
	const isOn = directServerReturn ?? cluster?.felix.directReturn ?? false;
	if (!isOn || !proxy || !config.networkPolicy.enforce || cluster === undefined) return undefined;
	return { optOut: directServerReturnOptOut ?? cluster.felix.directReturnOptOut ?? [] };
}

/**
 * The state of direct server return; `undefined` without a cluster. The device is of the family
 * that this node has an address of, IPv4 first; it carries packets of both. Pure.
 */
export function directStateOf(state: NodeState): DirectState | undefined {
	const { node, cluster } = state;
	if (cluster === undefined) return undefined;
	const self = cluster.nodes.find(({ name }) => name === node);
	const family: Family = self?.ipv4 === undefined && self?.ipv6 !== undefined ? 'ipv6' : 'ipv4';
	const { vni, port, mtuBytes } = vxlanStateOf(state);
	const others = cluster.nodes.filter((facts) => facts.name !== node && facts[family] !== undefined);
	const local = self?.[family];
	return {
		option: directReturnOf(state),
		mesh: {
			...{ vni: vni < mostVni ? vni + 1 : vni - 1, port, mtuBytes, families: [family], leftAlone: false },
			local:
				local === undefined
					? {}
					: { [family]: { nodeAddress: local.address, tunnelAddress: undefined, mac: directMacOf(node) } },
			// All nodes: connections to one that takes no new ones go on.
			remotes: others.flatMap((facts) => {
				const nodeAddress = facts[family]?.address;
				return nodeAddress === undefined
					? []
					: [{ node: facts.name, family, nodeAddress, tunnelAddress: undefined, mac: macFor(facts) }];
			}),
		},
		nodes: new Map(
			others.filter(({ directReturnMac }) => directReturnMac !== undefined).map((facts) => [facts.name, macFor(facts)]),
		),
		mac: macText(directMacOf(node)),
		announced: self?.directReturnMac,
	};
}

/** The MAC address of the device of a node that announces no other. */
const directMacOf = (node: string): Uint8Array => macOf(`${node}-direct`, 'ipv4');

const macFor = ({ name, directReturnMac }: NodeFacts): Uint8Array =>
	(directReturnMac === undefined ? undefined : parseMac(directReturnMac)) ?? directMacOf(name);
