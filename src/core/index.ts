/**
 * Common vocabulary, without BGP, the kernel or Kubernetes: values, pure functions, and interfaces
 * for effects (clock, logger).
 */
export * from './boundary.ts';
export * from './clock.ts';
export * from './concurrency-limit.ts';
export * from './dataplane.ts';
export * from './extended-community.ts';
export * from './ip.ts';
export * from './keyed-lock.ts';
export * from './line-limiter.ts';
export * from './log.ts';
export * from './pod-interface-name.ts';
export * from './repeats.ts';
export * from './retry.ts';
export * from './route.ts';
export * from './slices.ts';
export * from './spelling.ts';
export * from './state-names.ts';
export * from './text.ts';
export type * from './views.ts';
