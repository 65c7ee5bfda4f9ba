import test from 'ava';
import fc from 'fast-check';
import { type PrefixKey, parseAddress, parsePrefix, prefixContains, prefixKey } from '../../src/core/index.ts';
import { concatenate, portKey, type SetElement } from '../../src/linux/index.ts';
import { branch, defaultLeastGain, type Step } from '../../src/nftables/policy/branches.ts';
import { minimalPrefixes, type Reach } from '../../src/nftables/policy/match.ts';
import type { SetSpec } from '../../src/nftables/table.ts';

interface Packet {
	readonly address: string;
	readonly protocol: number;
	readonly port: number;
}

/** The rules, chains and maps of a tree. */
function grow(steps: readonly Step[], leastGain = defaultLeastGain) {
	const chains = new Map<string, readonly string[]>();
	const maps = new Map<string, SetSpec>();
	const rules = branch(steps, ['end'], {
		direction: 'ingress',
		leastGain,
		chain(prefix, content) {
			const name = `${prefix}-${content.join('|')}`;
			chains.set(name, content);
			return name;
		},
		map(map) {
			maps.set(map.name, map);
			return map.name;
		},
	});
	return { rules, chains, maps };
}

/** As the kernel does: the verdict of a key, in a map of ranges that of the last one that begins before it. */
function lookUp(elements: readonly SetElement[], key: Uint8Array, isInterval: boolean): string | undefined {
	let found: SetElement | undefined;
	for (const element of elements) {
		const order = Buffer.compare(element.key, key);
		if (isInterval ? order > 0 : order !== 0) continue;
		const rank = found === undefined ? 1 : Buffer.compare(element.key, found.key);
		// Where one range ends and the next one begins, the beginning counts.
		if (rank > 0 || (rank === 0 && element.intervalEnd !== true)) found = element;
	}
	const data = found?.intervalEnd === true ? undefined : found?.data;
	return data !== undefined && 'chain' in data ? data.chain : undefined;
}

const matches = ({ family, protocol, ports, nets }: Reach, packet: Packet): boolean => {
	const address = parseAddress(packet.address);
	return (
		(family === undefined || family === address.family) &&
		(protocol === undefined || protocol === packet.protocol) &&
		ports?.some(({ first, last }) => packet.port >= first && packet.port <= last) !== false &&
		nets?.some((net) => prefixContains(parsePrefix(net), address)) !== false
	);
};

/** Steps whose rules match, up to the end, and the number of rules that were evaluated. */
function walk(
	tree: ReturnType<typeof grow>,
	byText: ReadonlyMap<string, Step>,
	packet: Packet,
): { readonly matched: readonly string[]; readonly evaluated: number } {
	const matched: string[] = [];
	let evaluated = 0;
	const address = parseAddress(packet.address);
	const run = (rules: readonly string[]): void => {
		for (const rule of rules) {
			evaluated++;
			const [, lookup = '', mapName = ''] = /^(.*) vmap @(.*)$/.exec(rule) ?? [];
			if (mapName === '') {
				if (rule === 'end' || byText.get(rule)?.reaches.some((reach) => matches(reach, packet))) matched.push(rule);
				continue;
			}
			const map = tree.maps.get(mapName);
			if (map === undefined) throw new Error(`no map ${mapName}`);
			const byPort = lookup === 'meta l4proto . th dport';
			if (!byPort && !lookup.startsWith(`meta nfproto ${address.family} `)) continue;
			const key = byPort ? concatenate(Uint8Array.of(packet.protocol), portKey(packet.port)) : address.bytes;
			const chain = lookUp(map.elements, key, map.declaration.includes('interval'));
			if (chain === undefined) continue;
			run(tree.chains.get(chain) ?? []);
			return;
		}
	};
	run(tree.rules);
	return { matched, evaluated };
}

const net4 = fc
	.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 255 }), fc.constantFrom(1, 6, 8, 15, 16, 20, 24, 32))
	.map(([a, b, length]) => prefixKey(`${a * 85}.${b}.7.9/${length}`, 'clear'));
const net6 = fc
	.tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom(16, 31, 32, 64, 128))
	.map(([a, length]) => prefixKey(`${['fd00', 'fd01', '2001', 'ffff'][a]}:${a}::7/${length}`, 'clear'));
const port = fc.constantFrom(0, 22, 53, 80, 81, 443, 8080, 65535);
const range = fc
	.tuple(port, fc.constantFrom(0, 1, 14, 15, 16, 3000))
	.map(([first, more]) => ({ first, last: Math.min(65535, first + more) }));
const nets = <Key extends PrefixKey>(one: fc.Arbitrary<Key>) =>
	fc.array(one, { minLength: 1, maxLength: 2 }).map(minimalPrefixes);
const where: fc.Arbitrary<Reach> = fc.oneof(
	{ weight: 30, arbitrary: nets(net4).map((own): Reach => ({ family: 'ipv4', nets: own })) },
	{ weight: 10, arbitrary: nets(net6).map((own): Reach => ({ family: 'ipv6', nets: own })) },
	{ weight: 1, arbitrary: fc.constantFrom<Reach>({}, { family: 'ipv4' }, { family: 'ipv6' }) },
);
const what: fc.Arbitrary<Reach> = fc.oneof(
	{
		weight: 30,
		arbitrary: fc
			.tuple(fc.constantFrom(6, 17), fc.array(range, { minLength: 1, maxLength: 2 }))
			.map(([protocol, ports]): Reach => ({ protocol, ports })),
	},
	{ weight: 1, arbitrary: fc.constantFrom<Reach>({}, { protocol: 1 }, { protocol: 6 }, { protocol: 132 }) },
);
const nothing = fc.constant<Reach>({});
/** Rules that differ by address, by port, or by both. */
const steps = fc
	.constantFrom([where, nothing] as const, [nothing, what] as const, [where, what] as const)
	.chain(([at, of]) => {
		const one = fc.tuple(at, of).map(([a, b]): Reach => ({ ...a, ...b }));
		return fc.array(fc.array(one, { minLength: 1, maxLength: 2 }), { minLength: 12, maxLength: 60 });
	})
	.map((all) => all.map((reaches, index): Step => ({ text: `rule ${index}`, reaches, effect: 'other' })));
const packet: fc.Arbitrary<Packet> = fc.record({
	address: fc.oneof(
		net4.map((net) => net.split('/')[0] ?? ''),
		net6.map((net) => net.split('/')[0] ?? ''),
		fc.ipV4(),
		fc.constantFrom('0.0.0.0', '255.255.255.255', '::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'),
	),
	protocol: fc.constantFrom(1, 6, 17, 50, 132),
	port: fc.oneof(port, fc.integer({ min: 0, max: 65535 })),
});

test('a packet matches the same rules in the same order through the tree as one after another', (t) => {
	let [flat, trees] = [0, 0];
	fc.assert(
		fc.property(
			steps,
			fc.constantFrom(0, 8),
			fc.array(packet, { minLength: 20, maxLength: 20 }),
			(all, gain, packets) => {
				const tree = grow(all, gain);
				if (tree.maps.size > 0) trees++;
				else flat++;
				const byText = new Map(all.map((step) => [step.text, step]));
				for (const one of packets) {
					const expected = all
						.filter(({ reaches }) => reaches.some((own) => matches(own, one)))
						.map(({ text }) => text);
					t.deepEqual(walk(tree, byText, one).matched, [...expected, 'end']);
				}
			},
		),
		{ numRuns: 120 },
	);
	t.true(trees > 20 && flat > 0, `${trees} trees, ${flat} without`);
});

const thousand = (reachOf: (index: number) => Reach): Step[] =>
	Array.from({ length: 1000 }, (_, index) => ({ text: `rule ${index}`, reaches: [reachOf(index)], effect: 'other' }));
const cases: readonly { readonly title: string; readonly steps: readonly Step[]; readonly most: number }[] = [
	{
		title: 'by network',
		steps: thousand((index) => ({
			family: 'ipv4',
			protocol: 17,
			nets: [prefixKey(`10.${index >> 8}.${index & 255}.0/24`)],
		})),
		most: 3,
	},
	{
		title: 'by port',
		steps: thousand((index) => ({ protocol: 6, ports: [{ first: 8000 + index, last: 8000 + index }] })),
		most: 3,
	},
	{
		title: 'by network, then by port',
		steps: thousand((index) => ({
			family: 'ipv4',
			protocol: 6,
			nets: [prefixKey(`10.${index % 10}.0.0/16`)],
			ports: [{ first: 8000 + index, last: 8000 + index }],
		})),
		most: 4,
	},
];
for (const { title, steps: all, most } of cases)
	test(`of 1,000 rules that differ ${title}, a packet passes at most ${most}`, (t) => {
		const tree = grow(all);
		const byText = new Map(all.map((step) => [step.text, step]));
		for (const address of ['10.0.0.1', '10.2.5.9', '10.3.231.1', '192.0.2.1', 'fd00::1'])
			for (const number of [53, 8000, 8999])
				for (const protocol of [6, 17])
					t.true(walk(tree, byText, { address, protocol, port: number }).evaluated <= most);
	});

test('few rules stand one after another', (t) => {
	const few = thousand((index) => ({ protocol: 6, ports: [{ first: index, last: index }] })).slice(0, 8);
	t.deepEqual(grow(few).rules, [...few.map(({ text }) => text), 'end']);
});

test('rules that all packets may match are not copied into many branches', (t) => {
	const mixed = thousand((index) =>
		index % 2 === 0 ? {} : { family: 'ipv4', nets: [prefixKey(`10.${index >> 8}.${index & 255}.0/24`)] },
	);
	t.is(grow(mixed).maps.size, 0);
});
