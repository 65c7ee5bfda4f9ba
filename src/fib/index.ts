/**
 * The kernel's forwarding table. What we want is computed from best routes, own blocks and a function that says how
 * packets leave (`desired`, pure); the kernel is read back; `diff` (pure) gives the operations; what is refused stays dirty
 * and is tried again. Ours are the routes with our route protocol in our table. Nothing is swept until every source of
 * routes has said that it is in sync, and stopping leaves everything as it stands.
 */
export * from './kernel.ts';
export type * from './options.ts';
