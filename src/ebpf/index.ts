/**
 * eBPF without a compiler: programs are assembled in TypeScript, loaded by bpf(2), and judge
 * packets by the same representation of policy as nftables. `assembly/` is pure: instructions with
 * labels become bytes or a listing, code that nothing reaches is left out, and a program that does
 * not fit is refused. `kernel/` is the edge: maps and programs; what the verifier refuses is
 * reported with labels and scopes of the generator. `policy/` has one entry program for each
 * direction, at the interfaces of all pods, and renders the rules of a policy as programs that the
 * entry calls; sets, connections and fragments lie in maps that all programs of a node share.
 */
export { Assembler, AssemblyError } from './assembly/assembler.ts';
export * from './assembly/instruction.ts';
export { type AssembledProgram, mostInstructions, type Place, ProgramTooLargeError } from './assembly/layout.ts';
export { listProgram } from './assembly/listing.ts';
export {
	type Attacher,
	type AttacherOptions,
	type AttachPoint,
	ClsactAttacher,
	natPurpose,
	openAttacher,
	type Purpose,
	policyPurpose,
	removePinnedLinks,
	TcxAttacher,
} from './kernel/attach.ts';
export { BpfMap, type MapDefinition, MapFullError, MapMismatchError, MapType } from './kernel/map.ts';
export { NoBpffsError, Pins } from './kernel/pins.ts';
export { LoadedProgram, type LoadOptions, ProgramType, VerifierError } from './kernel/program.ts';
export { checkRequirements, loadProbe, type MachineFacts, missingRequirements } from './kernel/requirements.ts';
export { RingBuffer } from './kernel/ring-buffer.ts';
export { compileRuleChain, type RuleChain, type RuleChainOptions } from './policy/chain.ts';
export { ChainKeeper } from './policy/chain-keeper.ts';
export { timeoutSeconds } from './policy/connection.ts';
export {
	commonDecisions,
	counterKey,
	EventAction,
	type ProgramDecision,
	ProgramResult,
} from './policy/decision.ts';
export { EndpointKeeper } from './policy/endpoint-keeper.ts';
export { compileEntry, type EntryOptions } from './policy/entry.ts';
export { decodeEvent, type ProgramEvent } from './policy/events.ts';
export {
	type DecisionCount,
	EbpfPolicy,
	type EbpfPolicyDependencies,
	isTooMuch,
	UnsupportedPolicyError,
} from './policy/kernel.ts';
export {
	addMembers,
	createPolicyMaps,
	defaultPolicyMapSizes,
	Layout,
	openPolicyMaps,
	type PolicyMapName,
	type PolicyMapSizes,
	type PolicyMaps,
	policyLayoutVersion,
	policyMapDefinitions,
	removeMembers,
	Switch,
} from './policy/maps.ts';
export { type ConnectionEntry, connectionEntries, endpointAddress } from './policy/take-over.ts';
export { SocketServices, type SocketServicesDependencies, socketLinkPrefix } from './services/kernel.ts';
export {
	openSocketMaps,
	type SocketMapSizes,
	type SocketMaps,
	socketMapDefinitions,
} from './services/maps.ts';
export { InterfaceServices, type InterfaceServicesDependencies, type OutsideInterface } from './services/nat-kernel.ts';
export { type NatMapSizes, type NatMaps, openNatMaps } from './services/nat-maps.ts';
export { compileNatProgram, type NatProgramOptions, natTimeoutSeconds } from './services/nat-program.ts';
export { compileSocketProgram, type SocketHook, socketHooks } from './services/program.ts';
