/**
 * Kubernetes: lossless JSON, clients and models of Calico's resources, and the embedded API server.
 */
export * from './json/index.ts';
export { evaluate, type Labels, selectorMatches } from './selector/evaluate.ts';
export { parseSelector, type Selector, SelectorError } from './selector/parse.ts';
