import { testOneNode } from './one-node.ts';

testOneNode('pod');
