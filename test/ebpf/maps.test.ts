import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { Assembler } from '../../src/ebpf/assembly/assembler.ts';
import { fp, imm, r0, r1, r2, r3, r4 } from '../../src/ebpf/assembly/instruction.ts';
import { BpfMap, type MapDefinition, MapMismatchError } from '../../src/ebpf/kernel/map.ts';
import { NoBpffsError, Pins } from '../../src/ebpf/kernel/pins.ts';
import { LoadedProgram } from '../../src/ebpf/kernel/program.ts';
import { RingBuffer } from '../../src/ebpf/kernel/ring-buffer.ts';
import { pinDirectory } from '../support/bpffs.ts';
import { noBpf } from './support.ts';

if (noBpf !== undefined) console.warn(`SKIPPED: eBPF maps in the kernel: ${noBpf}`);
const kernelTest = noBpf === undefined ? test.serial : test.skip;

const word = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const hash: MapDefinition = { name: 'h', type: 'hash', keyBytes: 4, valueBytes: 4, entries: 8 };
/** Key: bits of the prefix, then 4 bytes. */
const prefix = (bits: number, ...bytes: number[]) => Uint8Array.from([bits, 0, 0, 0, ...bytes]);

for (const definition of [hash, { ...hash, type: 'lruHash', entries: 1024 }] as const)
	kernelTest(`elements of a map of type ${definition.type} are set, read, listed and deleted`, (t) => {
		const map = BpfMap.create(definition);
		t.teardown(() => map.close());
		t.is(map.get(word(1)), undefined);
		map.set(word(1), word(10));
		map.setMany(words(2, 3, 1), words(20, 30, 11), 3);
		t.deepEqual(
			[1, 2, 3].map((key) => map.get(word(key))),
			[word(11), word(20), word(30)],
		);
		t.deepEqual([...map.keys()].map((key) => key[0]).sort(), [1, 2, 3]);
		t.true(map.delete(word(2)));
		t.false(map.delete(word(2)));
		t.is(map.get(word(2)), undefined);
	});

kernelTest('a full hash refuses; an LRU hash evicts its oldest element', (t) => {
	const full = BpfMap.create({ ...hash, entries: 2 });
	const lru = BpfMap.create({ ...hash, type: 'lruHash', entries: 256 });
	t.teardown(() => [full, lru].forEach((map) => void map.close()));
	full.setMany(words(1, 2), words(1, 2), 2);
	t.throws(() => full.set(word(3), word(3)), { message: /the map h is full/ });
	for (let key = 0; key < 10_000; key++) lru.set(word(key), word(key));
	t.deepEqual(lru.get(word(9_999)), word(9_999));
	t.true([...lru.keys()].length <= 256);
});

kernelTest('an LPM trie finds the longest prefix', (t) => {
	const map = BpfMap.create({ name: 'lpm', type: 'lpmTrie', keyBytes: 8, valueBytes: 4, entries: 8 });
	t.teardown(() => map.close());
	const keys = [prefix(8, 10, 0, 0, 0), prefix(16, 10, 1, 0, 0), prefix(32, 10, 1, 2, 3)];
	map.setMany(Uint8Array.from(keys.flatMap((key) => [...key])), words(8, 16, 32), 3);
	const found = (...bytes: number[]) => map.get(prefix(32, ...bytes))?.[0];
	t.deepEqual([found(10, 9, 9, 9), found(10, 1, 2, 4), found(10, 1, 2, 3), found(11, 0, 0, 0)], [8, 16, 32, undefined]);
});

kernelTest('buffers of another size than the key or value are refused before the kernel reads them', (t) => {
	const map = BpfMap.create(hash);
	t.teardown(() => map.close());
	t.throws(() => map.set(new Uint8Array(3), word(1)), { instanceOf: RangeError });
	t.throws(() => map.setMany(words(1, 2), word(1), 2), { instanceOf: RangeError });
	t.throws(() => map.get(new Uint8Array(8)), { instanceOf: RangeError });
});

kernelTest('a map that is closed is not taken for the next one, whose descriptor has the same number', (t) => {
	const map = BpfMap.create(hash);
	const number = map.fd;
	const slices = map.slices();
	slices.next();
	map.close();
	const next = BpfMap.create({ ...hash, valueBytes: 64 });
	t.teardown(() => next.close());
	t.is(next.fd, number);
	next.set(word(1), new Uint8Array(64));
	t.throws(() => map.get(word(1)), { message: /EBADF/ });
	t.throws(() => [...map.keys()], { message: /EBADF/ });
	t.true(slices.next().done);
	map.close();
	t.is(next.get(word(1))?.length, 64, 'a second close leaves it alone');
});

kernelTest('records of a ring buffer arrive in order, more than it holds at once, and the rest is lost', (t) => {
	const ring = BpfMap.create({ name: 'ring', type: 'ringBuffer', keyBytes: 0, valueBytes: 0, entries: 4096 });
	const reader = new RingBuffer(ring);
	const assembler = new Assembler();
	const record = assembler.slot('record', 16);
	assembler.zero(record, 16).load('w', r2, r1, 36).store('w', fp, record, r2);
	assembler.loadMap(r1, 'ring').address(r2, record).mov(r3, imm(16)).mov(r4, imm(0)).call('ringBufferOutput');
	assembler.when(r0, '!=', imm(0), () => assembler.mov(r0, imm(1))).exit();
	const program = LoadedProgram.load(assembler.assemble(), {
		name: 'ring',
		type: 'schedClassifier',
		maps: new Map([['ring', ring]]),
	});
	t.teardown(() => {
		reader.close();
		program.close();
		ring.close();
	});
	const frame = new Uint8Array(64);
	const read: number[] = [];
	const readAll = () => reader.read(1000, (bytes) => read.push(new DataView(bytes.buffer).getUint32(0, true)));
	// Three times around the buffer.
	const sent: number[] = [];
	for (let index = 1; index <= 500; index++) {
		t.is(program.testRun(frame, { ingressIndex: index }), 0);
		sent.push(index);
		if (index % 50 === 0) t.is(readAll(), 50);
	}
	t.deepEqual(read, sent);
	const lost = Array.from({ length: 500 }, (_, index) => program.testRun(frame, { ingressIndex: index + 1 }));
	t.true(lost.includes(1));
	t.is(readAll(), lost.filter((result) => result === 0).length);
	t.is(program.testRun(frame, { ingressIndex: 1 }), 0);
});

kernelTest('pinned maps are found again with their elements, by layout version', (t) => {
	const root = pinDirectory(t);
	const first = new Pins(root, 1);
	const made = first.map(hash);
	t.true(made.created);
	made.map.set(word(1), word(10));
	made.map.close();

	const again = new Pins(root, 1).map(hash);
	t.false(again.created);
	t.deepEqual(again.map.get(word(1)), word(10));
	again.map.close();

	// The same name with another shape: a fault of the version number.
	const error = t.throws(() => new Pins(root, 1).map({ ...hash, valueBytes: 8 }), { instanceOf: MapMismatchError });
	t.regex(error?.message ?? '', /valueBytes is 4, not 8/);

	const second = new Pins(root, 2);
	const other = second.map({ ...hash, valueBytes: 8 });
	t.true(other.created);
	other.map.close();
	t.deepEqual(second.versions(), [1, 2]);
	second.removeVersion(1);
	t.deepEqual(second.versions(), [2]);
	t.deepEqual(second.names(), ['h']);
	second.remove('h');
	t.deepEqual(second.names(), []);
});

kernelTest('a directory outside of bpffs is refused with the command that mounts one', (t) => {
	t.throws(() => new Pins(join(tmpdir(), 'bgpmesh-no-bpffs'), 1), {
		instanceOf: NoBpffsError,
		message: /mount -t bpf/,
	});
});
