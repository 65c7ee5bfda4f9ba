/**
 * The configuration file: YAML text in, a frozen `Config` or a `ConfigError` with every problem and its place out. The schema
 * is the one place that knows a key: default, unit, what changing it costs, and what the manual says of it.
 */
export { type ConfigChange, diffConfig, type KeyChange } from './diff.ts';
export { ConfigError, type ConfigProblem, formatProblem } from './errors.ts';
export type { ReloadEffect } from './keys.ts';
export { loadConfig } from './load.ts';
export { parseConfig } from './parse.ts';
export { configJsonSchema, configManual, configReference } from './reference.ts';
export type { BgpConfig, Config, PeerConfig, PeerRangeConfig } from './resolve.ts';
