import { createHash } from 'node:crypto';
import test from 'ava';
import { prefixKey } from '../../src/core/index.ts';
import { affinityLabels, affinityName, blockName, blockOfName, sanitizeHandle } from '../../src/ipam/index.ts';

const cidr = prefixKey('10.0.0.0/26');

test('a block is named by its CIDR', (t) => {
	t.is(blockName(cidr), '10-0-0-0-26');
	t.is(blockName(prefixKey('fd00:10:244::/122')), 'fd00-10-244---122');
	t.is(blockName(prefixKey('fd00:1:2:3:4:5:6:40/122')), 'fd00-1-2-3-4-5-6-40-122');
});

test('a block name is parsed to its CIDR, and other names are rejected', (t) => {
	for (const known of ['10.0.0.0/26', 'fd00:10:244::/122', 'fd00:1:2:3:4:5:6:40/122', '::/122'].map((text) =>
		prefixKey(text),
	))
		t.is(blockOfName(blockName(known)), known);
	for (const none of ['', '10-0-0-0', '10-0-0-1-26', '10-0-0-0-33', 'pods', 'node-a-10-0-0-0-26', '-26'])
		t.is(blockOfName(none), undefined, none);
});

test('a claim is named by node and block, up to 252 characters', (t) => {
	t.is(affinityName('node-a', cidr), 'node-a-10-0-0-0-26');
	const longest = 'n'.repeat(252 - '-10-0-0-0-26'.length);
	t.is(affinityName(longest, cidr), `${longest}-10-0-0-0-26`);
});

test('a longer name is cut, and made unique by a hash', (t) => {
	const node = 'n'.repeat(253 - '-10-0-0-0-26'.length);
	const hash = createHash('sha256').update(`${node}+10-0-0-0-26`).digest('hex').slice(0, 11);
	const name = affinityName(node, cidr);
	t.is(name, `${'n'.repeat(252 - '10-0-0-0-26'.length - 13)}-10-0-0-0-26-${hash}`);
	t.is(name.length, 252);
	t.not(affinityName(`${node}m`, cidr), name);
});

test('claims are found by the hash of their node', (t) => {
	// SHA3-256 of `node-a` in base32, by Python:
	// base64.b32encode(hashlib.sha3_256(b'node-a').digest()).
	t.deepEqual(affinityLabels('node-a', 'host', cidr), {
		'projectcalico.org/hostname-hash': 'PY3TQE2E3XMTETLM2MJO3UITKPFB27YUJ4T4E5XGPEJON3SM4QAA',
		'projectcalico.org/affinity-type': 'host',
		'projectcalico.org/ip-version': '4',
	});
	t.is(affinityLabels('node-a', 'virtual', prefixKey('fd00::/122'))['projectcalico.org/ip-version'], '6');
});

test('a handle name ends before a carriage return', (t) => t.is(sanitizeHandle('net.one\rleft over'), 'net.one'));
