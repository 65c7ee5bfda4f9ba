import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { verbs } from '../../src/cli/verbs/index.ts';
import { run } from '../support/daemon.ts';

const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-cli-'));
const good = join(folder, 'good.yaml');
const bad = join(folder, 'bad.yaml');
writeFileSync(good, 'bgp: { asNumber: 64512, peers: [ { address: 10.0.0.1, asNumber: 64512 } ] }\n');
writeFileSync(bad, 'bgp: { asNumbr: 64512 }\n');
const nobody = ['--socket', join(folder, 'nobody.sock')];

const rows: readonly { title: string; given: readonly string[]; code: number; stdout?: RegExp; stderr?: RegExp }[] = [
	{ title: 'without a verb the help is shown as an error', given: [], code: 2, stderr: /bgpmesh peers \[peer\]/ },
	{ title: '--help is an answer', given: ['--help'], code: 0, stdout: /Exit codes: 0 done/ },
	{ title: '--version is an answer', given: ['--version'], code: 0, stdout: /^\d+\.\d+\.\d+\n$/ },
	{ title: 'a misspelt verb is guessed at', given: ['statsu'], code: 2, stderr: /Did you mean status\?/ },
	{ title: 'an unknown option is wrong usage', given: ['peers', '--frob'], code: 2, stderr: /frob/ },
	{ title: 'two directions at once are wrong usage', given: ['routes', '--received', 'a', '--advertised', 'b'], code: 2, stderr: /mutually exclusive/ },
	{ title: 'a limit that is no number is wrong usage', given: ['routes', '--limit', 'many'], code: 2, stderr: /--limit takes a whole number/ },
	{ title: '--soft belongs to reset', given: ['peer', 'disable', 'tor', '--soft'], code: 2, stderr: /--soft is for peer reset/ },
	{ title: 'a text longer than can be sent is wrong usage', given: ['peer', 'disable', 'tor', '--text', 'ü'.repeat(128)], code: 2, stderr: /256 bytes long/ },
	{ title: 'config check wants a file', given: ['config', 'check'], code: 2, stderr: /takes a file/ },
	{ title: 'no daemon', given: ['peers', ...nobody], code: 3, stderr: /no daemon answers at .*nobody\.sock: ENOENT\nIs it running\?/ },
	{ title: 'no daemon, for programs', given: ['peers', '--json', ...nobody], code: 3, stdout: /^\{"error":\{"code":"no-daemon"/ },
	{ title: 'a usable file', given: ['config', 'check', good], code: 0, stdout: /good\.yaml is usable: 1 peer, 0 peer ranges, 0 policies, 0 pools\.\n$/ },
	{
		title: 'a file with a mistake',
		given: ['config', 'check', bad],
		code: 1,
		stderr: /bad\.yaml:1:8: bgp\.asNumbr: found an unknown key, expected a known key; did you mean asNumber\?/,
	},
	{ title: 'a file with a mistake, for programs', given: ['config', 'check', bad, '--json'], code: 1, stdout: /"usable":false,"problems":\[\{"line":1/ },
	{
		title: 'a file that is not there',
		given: ['config', 'check', join(folder, 'none.yaml')],
		code: 1,
		stderr: /found no such file, expected a configuration file/,
	},
	{ title: 'the JSON schema', given: ['config', 'schema'], code: 0, stdout: /"\$schema"/ },
];
for (const { title, given, code, stdout, stderr } of rows) {
	test.serial(`${title}: exit code ${code}`, async (t) => {
		const ended = await run('bgpmesh.js', given);
		t.is(ended.code, code, ended.stderr);
		if (stdout !== undefined) t.regex(ended.stdout, stdout);
		if (stderr !== undefined) t.regex(ended.stderr, stderr);
		t.is(stdout === undefined ? ended.stdout : ended.stderr, '');
	});
}

test('every verb has an example', (t) => {
	for (const { command, examples } of verbs) t.true(examples.length > 0, command);
});
