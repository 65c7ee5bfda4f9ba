/**
 * netfilter: elements of sets and maps by nfnetlink (whole transactions), rules as text through
 * libnftables or the command `nft`, the connection table, and packets logged by rules. The rules
 * themselves are created in `nftables/`.
 */
export { Conntrack, type Flow, FlowStatus, type FlowTuple, type NewFlow, TcpState } from './conntrack.ts';
export {
	concatenate,
	type ElementChange,
	interfaceKey,
	portKey,
	type SetElement,
	type TableFamily,
	type Verdict,
} from './elements.ts';
export type { Expression } from './expressions.ts';
export { type CounterInfo, NfTables, NfTablesError } from './nf-tables.ts';
export { type LoggedPacket, PacketLog } from './packet-log.ts';
export { type LoadRules, loadByNft, loadRuleset, NftablesMissingError, RulesetError } from './ruleset-loader.ts';
export type { SetField, StructureChange } from './structure.ts';
