/** Structural schemas: pruning, defaults and validation. Pure. */
export * from './defaults.ts';
export * from './prune.ts';
export * from './schema.ts';
export * from './validate.ts';
