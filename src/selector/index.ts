/**
 * Calico's selector language: text to a tree, the tree against labels, and one canonical text per
 * meaning of the tree, by which equal selectors share what is computed for them. Resources of every
 * kind use it: pools, BGP peers, policies.
 */
export * from './canonical.ts';
export * from './evaluate.ts';
export * from './parse.ts';
