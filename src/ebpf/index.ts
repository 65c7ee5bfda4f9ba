/**
 * eBPF without a compiler: programs are assembled in TypeScript, loaded by bpf(2), and judge
 * packets by the same representation of policy as nftables. `assembly/` is pure: instructions with
 * labels become bytes or a listing, code that nothing reaches is left out, and a program that does
 * not fit is refused. `kernel/` is the edge: maps and programs; what the verifier refuses is
 * reported with labels and scopes of the generator. `policy/` has one entry program for each
 * direction, at the interfaces of all pods, and renders the rules of a policy as programs that the
 * entry calls; sets, connections and fragments lie in maps that all programs of a node share.
 */
export { Assembler } from './assembly/assembler.ts';
export * from './assembly/instruction.ts';
export { type AssembledProgram, ProgramTooLargeError } from './assembly/layout.ts';
export { listProgram } from './assembly/listing.ts';
export {
	type Attacher,
	ClsactAttacher,
	hostPurpose,
	natPurpose,
	openAttacher,
	type Purpose,
	policyPurpose,
	preDnatPurpose,
	purposes,
	removePinnedLinks,
	TcxAttacher,
	untrackedPurpose,
} from './kernel/attach.ts';
export { clockHelper } from './kernel/clock.ts';
export { BpfMap } from './kernel/map.ts';
export { findOthers } from './kernel/others.ts';
export { Pins } from './kernel/pins.ts';
export { LoadedProgram } from './kernel/program.ts';
export { checkRequirements, loadProbe, type MachineFacts, missingRequirements } from './kernel/requirements.ts';
export { RingBuffer } from './kernel/ring-buffer.ts';
export { compileRuleChain, type RuleChain } from './policy/chain.ts';

export {
	counterKey,
	type ProgramDecision,
	ProgramResult,
} from './policy/decision.ts';
export { EndpointKeeper } from './policy/endpoint-keeper.ts';
export { compileEntry } from './policy/entry.ts';
export { decodeEvent, type ProgramEvent } from './policy/events.ts';
export { earlyByRules, hostsForPrograms } from './policy/host-choice.ts';
export { compileHostEarly } from './policy/host-early.ts';
export { compileHostEntry } from './policy/host-entry.ts';
export { hostLinks, presentHosts } from './policy/host-interfaces.ts';
export {
	EbpfPolicy,
	isTooMuch,
	UnsupportedPolicyError,
} from './policy/kernel.ts';
export {
	addMembers,
	createPolicyMaps,
	defaultPolicyMapSizes,
	Layout,
	openPolicyMaps,
	type PolicyMapSizes,
	type PolicyMaps,
	policyLayoutVersion,
	policyMapDefinitions,
	removeMembers,
	Switch,
} from './policy/maps.ts';
export { hostConnectionEntries } from './policy/take-over.ts';
export { SocketServices } from './services/kernel.ts';
export {
	openSocketMaps,
	type SocketMaps,
} from './services/maps.ts';
export type { DirectNodes } from './services/nat-direct.ts';
export { InterfaceServices, type OutsideInterface } from './services/nat-kernel.ts';
export { isNatPin, type NatMaps, natDirectMapNames, openNatMaps } from './services/nat-maps.ts';
export { compileNatProgram } from './services/nat-program.ts';
