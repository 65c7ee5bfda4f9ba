/**
 * Network policy as decisions on values: resources of Kubernetes and Calico (`convert/`) become one
 * representation (`rules.ts`), which has one meaning (`evaluate`). A node enforces a `NodePolicy`:
 * its pods and host interfaces, for each direction the tiers with the policies that select the
 * endpoint, the profiles after them, and sets of addresses by selector that the rules share.
 * `calculation/` keeps it up to date with the cluster, change by change; `journey` follows a packet
 * from one end to the other. Data planes render the representation and know nothing of resources;
 * this folder depends on no data plane.
 */
export * from './calculation/calculator.ts';
export * from './convert/index.ts';
export * from './endpoints.ts';
export * from './evaluate.ts';
export * from './feed.ts';
export * from './felix.ts';
export * from './journey.ts';
export * from './lint.ts';
export type {
	PolicyModel,
	PolicyProblem,
} from './model.ts';
export * from './plan.ts';
export * from './plane/gated-kernel.ts';
export * from './plane/other-engine.ts';
export * from './plane/plane.ts';
export * from './prune.ts';
export * from './rollout.ts';
export * from './rules.ts';
export * from './settings.ts';
export * from './trace.ts';
