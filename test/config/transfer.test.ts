import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type Config, ConfigError, diffConfig, loadConfig, parseConfig } from '../../src/config/index.ts';
import { ConfigAssembly, partsOf } from '../../src/config/transfer.ts';

const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-transfer-'));
const origin = (number: number) => `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}/32`;

/** A file with this many origins, and an entry of every other kind. */
const text = (origins: number, more = '') => `
bgp:
  asNumber: 4200000000
  routerId: 10.0.0.1
  groups: { nodes: { asNumber: 64512, importPolicies: [in] } }
  peers: [ { name: a, address: 10.0.0.1, group: nodes }, { name: b, address: fd00::1, asNumber: 1, maxPrefix: { limit: 5 } } ]
  peerRanges: [ { prefix: 10.1.0.0/16, asNumber: 64512, limit: 10 } ]
${more}
  originate: [
${Array.from({ length: origins }, (_, number) => `    { prefix: ${origin(number)}, med: ${number} },\n`).join('')}  ]
pools: [ { cidr: 192.168.0.0/16, ipipMode: Always } ]
policies: { in: { terms: [ { match: { prefixes: [ { prefix: 10.0.0.0/8 } ] }, action: accept } ] } }
`;

function assembled(config: Config): Config {
	const assembly = new ConfigAssembly();
	for (const part of partsOf(config)) {
		const copy = structuredClone(part);
		if (copy.type === 'frame' || copy.type === 'elements') assembly.add(copy);
	}
	return assembly.end();
}

for (const origins of [0, 1, 999, 1000, 1001, 3000])
	test(`a configuration with ${origins} origins is unchanged after its transfer between threads`, (t) => {
		const config = parseConfig(text(origins), 'x.yaml');
		const copy = assembled(config);
		t.deepEqual(copy, config);
		t.deepEqual(diffConfig(config, copy), []);
		t.true(Object.isFrozen(copy) && Object.isFrozen(copy.bgp?.originate) && Object.isFrozen(copy.bgp?.peers[0]));
	});

test('a configuration without bgp is unchanged, too', (t) => {
	const config = parseConfig('datastore: { type: kubernetes }', 'x.yaml');
	t.deepEqual(assembled(config), config);
});

test('no part contains more than the limit of a list', (t) => {
	for (const part of partsOf(parseConfig(text(3000), 'x.yaml')))
		t.true(JSON.stringify(part).length < 100_000, part.type);
});

test('a large file is parsed in another thread while timers run, with the same result', async (t) => {
	const file = join(folder, 'large.yaml');
	writeFileSync(file, text(20_000));
	let ticks = 0;
	const timer = setInterval(() => ticks++, 1);
	const config = await loadConfig(file);
	clearInterval(timer);
	t.is(config.bgp?.originate.length, 20_000);
	t.deepEqual(config.bgp?.originate[19_999], { prefix: origin(19_999), med: 19_999 } as never);
	t.true(ticks > 20, `${ticks} ticks`);
});

test('a mistake in a large file is reported with its line', async (t) => {
	const file = join(folder, 'mistaken.yaml');
	writeFileSync(file, text(5000, '  holdTime: 7'));
	const error = await t.throwsAsync(loadConfig(file), { instanceOf: ConfigError });
	t.regex(error?.message ?? '', /mistaken\.yaml:8:3: bgp\.holdTime: found an unknown key/);
	t.is(error?.problems.length, 1);
});
