export type * from './negotiated.ts';
export type * from './policy/types.ts';
export type * from './rib/types.ts';
