/**
 * IP in IP between nodes: which routes go through the tunnel (`encapsulation`, pure), the device itself, the guard that
 * lets only known nodes in, and the masquerade for pools with `natOutgoing`.
 */
export type * from './types.ts';
