import test from 'ava';
import * as fc from 'fast-check';
import type { Instruction } from '../../src/ebpf/assembly/instruction.ts';
import type { AssembledProgram } from '../../src/ebpf/assembly/layout.ts';
import { compileEntry, compileRuleChain, listProgram } from '../../src/ebpf/index.ts';
import { settings } from '../nftables/fixtures.ts';
import { disagreement, scene, type Tally } from './scenes.ts';
import { noBpf } from './support.ts';

if (noBpf !== undefined) console.warn(`SKIPPED: eBPF beside evaluate: ${noBpf}`);
const kernelTest = noBpf === undefined ? test.serial : test.skip;

const seedText = process.env['EBPF_SEED'];
const runs = Number(process.env['EBPF_RUNS'] ?? 60);

kernelTest('programs give the verdict of evaluate for random policies and packets', (t) => {
	const seed = seedText === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(seedText);
	t.log(`seed ${seed}; again with EBPF_SEED=${seed}, more with EBPF_RUNS`);
	const tally: Tally = { allowed: 0, denied: 0, packets: 0 };
	fc.assert(
		fc.property(scene, (drawn) => {
			const found = disagreement(drawn, tally);
			if (found !== undefined) throw new Error(found);
		}),
		{ numRuns: runs, seed },
	);
	t.log(tally);
	// A generator that allowed or denied everything would prove nothing.
	t.true(tally.allowed > tally.packets / 20 && tally.denied > tally.packets / 20);
});

/** A program with some instructions changed. */
function changed(
	program: AssembledProgram,
	change: (instruction: Instruction, index: number) => Instruction,
): AssembledProgram {
	const instructions = program.instructions.map(change);
	const encode: AssembledProgram['encode'] = (mapDescriptor) => {
		const bytes = program.encode(mapDescriptor);
		const view = new DataView(bytes.buffer);
		for (const [index, { code, value }] of instructions.entries()) {
			view.setUint8(index * 8, code);
			if (instructions[index] !== program.instructions[index]) view.setInt32(index * 8 + 4, value | 0, true);
		}
		return bytes;
	};
	return { ...program, instructions, encode };
}

const inRule = ({ scope }: Instruction): boolean => scope !== undefined;
/** Conditional jumps on 64 bits: `==` 0x15, `!=` 0x55, `<=` 0xb5; on 32 bits `!=` 0x56. */
const faults: readonly [string, (instruction: Instruction) => Instruction][] = [
	['the last port of a range is left out', (one) => (inRule(one) && one.code === 0xb5 ? { ...one, code: 0xa5 } : one)],
	[
		'protocols are matched negatively',
		(one) => (inRule(one) && one.code === 0x55 && one.destination === 7 ? { ...one, code: 0x15 } : one),
	],
	[
		'a prefix matches addresses outside of it',
		(one) => (inRule(one) && one.code === 0x56 ? { ...one, code: 0x16 } : one),
	],
	[
		'masks of prefixes are one bit too short',
		(one) => (inRule(one) && one.code === 0x54 ? { ...one, value: one.value << 1 } : one),
	],
	[
		'look-ups ask for one bit less',
		(one) =>
			inRule(one) && one.code === 0x62 && [96, 192].includes(one.value) ? { ...one, value: one.value - 1 } : one,
	],
];
for (const [title, change] of faults)
	kernelTest(`the comparison detects a fault: ${title}`, (t) => {
		const tally: Tally = { allowed: 0, denied: 0, packets: 0 };
		const result = fc.check(
			fc.property(scene, (drawn) => disagreement(drawn, tally, (program) => changed(program, change)) === undefined),
			{ numRuns: 400, seed: 1, endOnFailure: true },
		);
		t.true(result.failed, `${tally.packets} packets agreed`);
		t.log(`noticed after ${tally.packets} packets`);
	});

test('the same policy gives the same program', (t) => {
	const [drawn] = fc.sample(scene, { numRuns: 1, seed: 3 });
	if (drawn === undefined) return t.fail('nothing was drawn');
	const compile = () => {
		const { programs } = compileRuleChain({
			policy: drawn.ingress,
			book: {
				policies: new Map(drawn.policies.map((policy) => [policy.key, policy])),
				sets: new Map(drawn.sets.map((one) => [one.id, one])),
			},
			settings,
		});
		return [compileEntry({ direction: 'ingress', settings }), ...programs.ipv4, ...programs.ipv6]
			.map(listProgram)
			.join();
	};
	t.is(compile(), compile());
	return undefined;
});
