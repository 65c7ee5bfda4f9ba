export type * from './negotiated.ts';
export type * from './policy/types.ts';
export * from './rib/index.ts';
export * from './session/options.ts';
export * from './speaker/api.ts';
export type * from './speaker/options.ts';
