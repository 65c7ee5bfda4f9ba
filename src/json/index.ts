/**
 * Lossless JSON. Calico's sequence numbers exceed 2^53. JavaScript's parser rounds them, and a
 * rounded sequence number no longer detects a reused allocation. Here integers keep every digit,
 * and unknown members are kept in their order.
 */
export * from './codec.ts';
export * from './list-reader.ts';
export * from './types.ts';
export * from './value.ts';
