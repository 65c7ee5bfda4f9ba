/**
 * BGP speaker. Layers, lowest first; each imports only lower ones (checked by
 * `test/architecture.test.ts`): `model` (options, negotiated values and interfaces between the
 * layers), `policy`, `table` (columns of paths and attribute sets, decision process),
 * `update-group` (Adj-RIB-Out), `rib` (import, selection, stale routes, views). Beside the tables,
 * on `model` alone: `fsm` (RFC 4271 §8 as pure functions), `session` (one neighbor: connections,
 * timers, messages) and `speaker` (peers, ranges, listening sockets).
 */

export type * from './model/negotiated.ts';
export type { OptionContext } from './model/peer-option-rows.ts';
export { identifierNumber } from './model/peer-option-table.ts';
export * from './model/peer-options.ts';
export type * from './model/policy.ts';
export { defaultNormalPriority, elevatedMetricOf, localPrefOf } from './model/route-priority.ts';
export * from './model/speaker-api.ts';
export type * from './model/speaker-options.ts';
export { asksForInterface } from './policy/matches.ts';
export { regularExpressionProblem } from './policy/regular-expression.ts';
export { communityProblem } from './policy/text.ts';
export * from './rib/index.ts';
export * from './session/change.ts';
export { Md5KeyError, readMd5Key } from './session/md5-key.ts';
export { ListenError } from './speaker/listener.ts';
export { Speaker } from './speaker/speaker.ts';
