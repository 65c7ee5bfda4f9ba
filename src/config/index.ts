/**
 * The configuration file: YAML text in, a frozen `Config` or a `ConfigError` with every problem and
 * its place out. The schema is the single declaration of a key: default, unit, effect of a change,
 * and text of the manual.
 */

export { type ConfigChange, diffConfig, diffSteps, type KeyChange } from './diff.ts';
export { ConfigError, type ConfigProblem, formatProblem } from './errors.ts';
export { defaultConfigFile, loadConfig } from './load.ts';
export { parseConfig } from './parse.ts';
export { configJsonSchema, configManual, configReference } from './reference.ts';
export type { BgpConfig, Config, PeerConfig, PeerRangeConfig } from './resolve.ts';
