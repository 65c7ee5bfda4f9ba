import test from 'ava';
import { Assembler, AssemblyError } from '../../src/ebpf/assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r6 } from '../../src/ebpf/assembly/instruction.ts';
import { mostInstructions, ProgramTooLargeError } from '../../src/ebpf/assembly/layout.ts';
import { listProgram } from '../../src/ebpf/assembly/listing.ts';
import { BpfMap } from '../../src/ebpf/kernel/map.ts';
import { LoadedProgram, VerifierError } from '../../src/ebpf/kernel/program.ts';
import { explainVerifierLog } from '../../src/ebpf/kernel/verifier-log.ts';
import { noBpf } from './support.ts';

if (noBpf !== undefined) console.warn(`SKIPPED: eBPF programs in the kernel: ${noBpf}`);
const kernelTest = noBpf === undefined ? test : test.skip;

const frame = Uint8Array.from({ length: 64 }, (_, index) => index);

/** Loads the program, runs it on one frame, and returns its result. */
function run(emit: (assembler: Assembler) => void, maps: ReadonlyMap<string, BpfMap> = new Map()): number {
	const assembler = new Assembler();
	emit(assembler);
	const program = LoadedProgram.load(assembler.assemble(), { name: 'test', type: 'schedClassifier', maps });
	try {
		return program.testRun(frame);
	} finally {
		program.close();
	}
}

function sample(): Assembler {
	const assembler = new Assembler().label('begin').mov(r6, r1).loadWide(r2, 0x1_0000_0002n);
	return assembler
		.store('w', fp, -8, imm(7))
		.within('rule a', () => assembler.lookup('numbers', -8))
		.jumpIf(r0, '==', imm(0), 'missing')
		.load('w', r0, r0, 0)
		.jump('end')
		.label('unreached')
		.mov(r0, imm(9))
		.exit()
		.label('missing')
		.mov(r0, imm(-1))
		.label('end')
		.op32('and', r0, imm(255))
		.swap(r0, 16)
		.jumpIf32(r0, '<', imm(0x80000000), 'small')
		.label('small')
		.exit();
}

test('the listing of a program has labels, maps and helpers, and no unreachable code', (t) => {
	t.is(
		listProgram(sample().assemble()),
		`begin:
	mov r6, r1
	r2 = 4294967298
	w [r10-8] = 7
; rule a
	r1 = map numbers
	mov r2, r10
	add r2, -8
	call mapLookup
; end of the scope
	if r0 == 0 goto missing
	r0 = w [r0+0]
	goto end
missing:
	mov r0, -1
end:
	and32 r0, 255
	r0 = swap16 r0
	if32 r0 < 2147483648 goto small
small:
	exit
`,
	);
});

test('bytes of a program: struct bpf_insn with the jump over the removed code', (t) => {
	const program = new Assembler()
		.jumpIf(r1, '!=', imm(0), 'two')
		.mov(r0, imm(1))
		.exit()
		.mov(r0, imm(3))
		.exit()
		.label('two')
		.loadMap(r0, 'map')
		.exit()
		.assemble();
	t.is(
		Buffer.from(program.encode(() => 0x1234)).toString('hex'),
		[
			'5501020000000000', // if r1 != 0 goto +2
			'b700000001000000', // r0 = 1
			'9500000000000000', // exit
			'1810000034120000', // r0 = map, BPF_PSEUDO_MAP_FD
			'0000000000000000',
			'9500000000000000',
		].join(''),
	);
	t.deepEqual([...program.maps], ['map']);
});

const faults: readonly [string, () => unknown, RegExp][] = [
	['a label twice', () => new Assembler().label('a').label('a'), /'a' exists twice/],
	['a jump to no label', () => new Assembler().jump('a').assemble(), /'a' does not exist/],
	['a label at the end', () => new Assembler().jump('a').label('a').assemble(), /no instruction follows/],
	['no exit', () => new Assembler().mov(r0, imm(0)).assemble(), /runs past its last instruction/],
	['too much stack', () => new Assembler().slot('key', 520), /'key' does not fit into 512 bytes/],
];
for (const [title, emit, message] of faults)
	test(`a fault of the generator is an error: ${title}`, (t) => {
		t.throws(emit, { instanceOf: AssemblyError, message });
	});

test('a program beyond the bound is refused before the kernel is called, and the largest scope is named', (t) => {
	const assembler = new Assembler().within('small', () => undefined);
	assembler.within('rule prod/web ingress[0]', () => {
		for (let count = 0; count < mostInstructions; count++) assembler.mov(r0, imm(count));
	});
	const error = t.throws(() => assembler.exit().assemble(), { instanceOf: ProgramTooLargeError });
	t.is(error?.instructions, mostInstructions + 1);
	t.regex(error?.message ?? '', /largest part is rule prod\/web ingress\[0\]/);
});

const places = { placeOf: (index: number) => ({ label: `place${index}`, scope: index === 12 ? 'rule b' : undefined }) };
const logs: readonly [string, string, { label: string; scope: string | undefined; reason: string }][] = [
	[
		'the walk',
		"0: R1=ctx() R10=fp0\n12: (61) r0 = *(u32 *)(r0 +0)\nR0 invalid mem access 'scalar'\nprocessed 9 insns (limit 1000000)\n",
		{ label: 'place12', scope: 'rule b', reason: "R0 invalid mem access 'scalar'" },
	],
	['the structure', 'unreachable insn 12\n', { label: 'place12', scope: 'rule b', reason: 'unreachable place12' }],
	[
		'a loop',
		'back-edge from insn 7 to 3\n',
		{ label: 'place7', scope: undefined, reason: 'back-edge place7 to place3' },
	],
];
for (const [title, log, expected] of logs)
	test(`the verifier's log in labels: ${title}`, (t) => {
		t.deepEqual(explainVerifierLog(log, places), expected);
	});

kernelTest('a refused program is named with label and scope', (t) => {
	const error = t.throws(
		() =>
			run((assembler) => {
				assembler.label('parse').mov(r6, r1);
				assembler.within('rule prod/web ingress[2]', () =>
					assembler.label('match').mov(r2, imm(0)).load('w', r0, r2, 0),
				);
				assembler.exit();
			}),
		{ instanceOf: VerifierError },
	);
	t.is(error?.label, 'match+1');
	t.is(error?.scope, 'rule prod/web ingress[2]');
	t.regex(
		error?.message ?? '',
		/refused program test at match\+1 \(rule prod\/web ingress\[2\]\): R2 invalid mem access/,
	);
});

kernelTest('unreachable code is not passed to the verifier', (t) => {
	t.is(
		run((assembler) => assembler.jump('end').mov(r0, imm(1)).exit().label('end').mov(r0, imm(2)).exit()),
		2,
	);
});

const computations: readonly [string, (assembler: Assembler) => unknown, number][] = [
	['when, taken', (a) => a.mov(r0, imm(1)).when(r0, '==', imm(1), () => a.mov(r0, imm(5))), 5],
	['when, not taken', (a) => a.mov(r0, imm(1)).when(r0, '>', imm(1), () => a.mov(r0, imm(5))), 1],
	[
		'when with an alternative',
		(a) =>
			a.mov(r0, imm(1)).when(
				r0,
				'!=',
				imm(1),
				() => a.mov(r0, imm(5)),
				() => a.mov(r0, imm(6)),
			),
		6,
	],
	[
		'anyOf finds the second',
		(a) =>
			a
				.mov(r0, imm(3))
				.anyOf([2, 3], (item, found) => a.jumpIf(r0, '==', imm(item), found), 'none')
				.mov(r0, imm(7))
				.exit()
				.label('none')
				.mov(r0, imm(8)),
		7,
	],
	[
		'anyOf of nothing',
		(a) =>
			a
				.mov(r0, imm(3))
				.anyOf([4], (item, found) => a.jumpIf(r0, '==', imm(item), found), 'none')
				.mov(r0, imm(7))
				.exit()
				.label('none')
				.mov(r0, imm(8)),
		8,
	],
	[
		'addresses from 128.0.0.0 on are compared without a sign',
		(a) =>
			a
				.mov(r0, imm(1))
				.op32('mov', r1, imm(0xc0a80001))
				.jumpIf32(r1, '==', imm(0xc0a80001), 'equal')
				.mov(r0, imm(0))
				.label('equal'),
		1,
	],
	['a wide constant', (a) => a.loadWide(r0, 0x7_0000_0000n).op('rsh', r0, imm(32)), 7],
	['a swap', (a) => a.mov(r0, imm(0x1234)).swap(r0, 16), 0x3412],
];
for (const [title, emit, expected] of computations)
	kernelTest(`computed in the kernel: ${title}`, (t) => {
		t.is(
			run((assembler) => {
				emit(assembler);
				assembler.exit();
			}),
			expected,
		);
	});

kernelTest('a program reads and counts in a map', (t) => {
	const map = BpfMap.create({ name: 'numbers', type: 'hash', keyBytes: 4, valueBytes: 8, entries: 4 });
	t.teardown(() => map.close());
	const key = Uint8Array.of(7, 0, 0, 0);
	map.set(key, Uint8Array.of(40, 0, 0, 0, 0, 0, 0, 0));
	const result = run(
		(a) =>
			a
				.store('w', fp, -8, imm(7))
				.lookup('numbers', -8)
				.when(r0, '!=', imm(0), () => a.mov(r1, imm(2)).atomicAdd(r0, 0, r1).load('w', r0, r0, 0))
				.exit(),
		new Map([['numbers', map]]),
	);
	t.is(result, 42);
	t.is(map.get(key)?.[0], 42);
});
