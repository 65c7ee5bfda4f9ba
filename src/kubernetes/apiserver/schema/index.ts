/** Structural schemas: what a resource's members are, what is dropped, filled in and refused. Pure. */
export * from './defaults.ts';
export * from './prune.ts';
export * from './schema.ts';
export * from './validate.ts';
