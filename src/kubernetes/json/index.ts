/**
 * Lossless JSON. Calico's sequence numbers exceed 2^53 and JavaScript's own parser rounds them, which would break the guard that they are; here
 * integers keep every digit. Members that nobody knows are kept, in order.
 */
export * from './codec.ts';
export * from './list-reader.ts';
export * from './types.ts';
export * from './value.ts';
