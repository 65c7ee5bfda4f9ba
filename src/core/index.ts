/**
 * Words everybody uses. Nothing here knows BGP, the kernel or Kubernetes; everything is a value, a pure function or an
 * interface for something that acts (clock, logger).
 */
export * from './clock.ts';
export * from './extended-community.ts';
export * from './ip.ts';
export * from './log.ts';
export * from './retry.ts';
export * from './route.ts';
export * from './state-names.ts';
export * from './text.ts';
export type * from './views.ts';
