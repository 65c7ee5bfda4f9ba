import type { ExecutionContext } from 'ava';

import { dataTest, readVectors, sharedDataFiles, sharedDataPath } from '../support/shared-data.ts';
import { fromHex } from './session-context.ts';

interface Options {
	readonly seed: number;
	readonly iterations: number;
	readonly messages: readonly Uint8Array[];
}

// The codec's own fuzzer, from where it is compiled to.
const { fuzz } = (await import(new URL('../../../packages/bgp-packet/dist/test/fuzz.js', import.meta.url).href)) as {
	fuzz: (options: Options) => { readonly failures: readonly unknown[] };
};

dataTest(
	'[C230] mutated messages of the vectors decode or raise PacketError, and both readers agree',
	'vectors',
	(t: ExecutionContext) => {
		const vectors = sharedDataFiles('vectors', ['.jsonl']).flatMap((name) => readVectors(sharedDataPath(name) ?? ''));
		const messages = vectors.filter(({ kind }) => kind === 'message').map(({ hex }) => fromHex(hex));
		t.deepEqual(fuzz({ seed: 4271, iterations: 8000, messages }).failures, []);
	},
);
