/**
 * nftables as data plane: policy and services as tables of ours. What should be there is computed
 * as values (chains, sets, maps); chains are named by their content, so that reading back names and
 * elements is enough to find what differs. A change is prepared beside what stands, becomes visible
 * in one transaction of elements, and then loses what nothing refers to any more. Guard and
 * masquerade are small tables, each replaced as a whole in one transaction and kept loaded by a
 * `RuleKeeper`. Tables of others are never touched.
 */
export type { DropReference } from './policy/chains.ts';
export { Mark } from './policy/chains.ts';
export { ConnectionCutter } from './policy/cut.ts';
export {
	defaultLogGroup,
	NftablesPolicy,
	type NftablesPolicyOptions,
	type PolicyCounter,
	policyTable,
} from './policy/kernel.ts';
export { RuleKeeper } from './rule-keeper.ts';
export { guardRules, type NatPool, natRules, noGuardRules } from './rules.ts';
export { ServiceConntrack } from './services/conntrack.ts';
export { HandoverTable, handoverTables } from './services/handover.ts';
export { NftablesServices, servicesTable } from './services/kernel.ts';
export { TableWatch } from './table-watch.ts';
