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
const absent = ['--socket', join(folder, 'absent.sock')];

const rows: readonly { title: string; given: readonly string[]; code: number; stdout?: RegExp; stderr?: RegExp }[] = [
	{ title: 'without a verb the help is printed as an error', given: [], code: 2, stderr: /bgpmesh peers \[peer\]/ },
	{ title: '--help succeeds', given: ['--help'], code: 0, stdout: /Exit codes: 0 done/ },
	{ title: '-h is the same', given: ['-h'], code: 0, stdout: /Exit codes: 0 done/ },
	{ title: '-h of a verb prints its examples', given: ['routes', '-h'], code: 0, stdout: /Examples:/ },
	{
		title: 'a word unlike any verb gets no suggestion',
		given: ['bogus'],
		code: 2,
		stderr: /^bgpmesh: there is no verb 'bogus'\nTry: bgpmesh --help\n$/,
	},
	{ title: '--version succeeds', given: ['--version'], code: 0, stdout: /^\d+\.\d+\.\d+\n$/ },
	{ title: 'a misspelt verb gets a suggestion', given: ['statsu'], code: 2, stderr: /Did you mean status\?/ },
	{ title: 'an unknown option is wrong usage', given: ['peers', '--frob'], code: 2, stderr: /frob/ },
	{
		title: 'two directions at once are wrong usage',
		given: ['routes', '--received', 'a', '--advertised', 'b'],
		code: 2,
		stderr: /mutually exclusive/,
	},
	{
		title: 'a limit that is not a number is wrong usage',
		given: ['routes', '--limit', 'many'],
		code: 2,
		stderr: /--limit takes a whole number/,
	},
	{
		title: '--soft belongs to reset',
		given: ['peer', 'disable', 'tor', '--soft'],
		code: 2,
		stderr: /--soft is for peer reset/,
	},
	{
		title: 'a text longer than the protocol permits is wrong usage',
		given: ['peer', 'disable', 'tor', '--text', 'ü'.repeat(128)],
		code: 2,
		stderr: /256 bytes long/,
	},
	{ title: 'config show takes no file', given: ['config', 'show', 'x.yaml'], code: 2, stderr: /takes no file/ },
	{
		title: 'no daemon',
		given: ['peers', ...absent],
		code: 3,
		stderr: /no daemon answers at .*absent\.sock: ENOENT\nIs it running\?/,
	},
	{
		title: 'no daemon, as JSON',
		given: ['peers', '--json', ...absent],
		code: 3,
		stdout: /^\{"error":\{"code":"no-daemon"/,
	},
	{
		title: 'a usable file',
		given: ['config', 'check', good],
		code: 0,
		stdout: /good\.yaml is usable: 1 peer, 0 peer ranges, 0 policies, 0 pools\.\n$/,
	},
	{
		title: 'a file with a mistake',
		given: ['config', 'check', bad],
		code: 1,
		stderr: /bad\.yaml:1:8: bgp\.asNumbr: found an unknown key, expected a known key; did you mean asNumber\?/,
	},
	{
		title: 'a file with a mistake, as JSON',
		given: ['config', 'check', bad, '--json'],
		code: 1,
		stdout: /"usable":false,"problems":\[\{"line":1/,
	},
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

for (const { title, kubeconfig, places } of [
	{ title: 'the home folder and the service account', kubeconfig: '', places: `${folder}/.kube/config, no /var/run/` },
	{
		title: 'the files of KUBECONFIG',
		kubeconfig: '/no/a:/no/b',
		places: '/no/a (KUBECONFIG), no /no/b (KUBECONFIG)',
	},
])
	test.serial(`without a kubeconfig the error names ${title}`, async (t) => {
		const ended = await run('bgpmesh.js', ['get', 'nodes'], { HOME: folder, KUBECONFIG: kubeconfig });
		t.is(ended.code, 1);
		t.true(ended.stderr.startsWith('bgpmesh: no kubeconfig was found: there is no '), ended.stderr);
		t.true(ended.stderr.includes(places), ended.stderr);
	});

test.serial('messages are in English for every locale of the caller', async (t) => {
	const locales = ['de_DE.UTF-8', 'ja_JP.UTF-8', 'C'];
	const texts = await Promise.all(
		locales.map((locale) =>
			run('bgpmesh.js', ['peer', 'reset'], { LC_ALL: locale, LC_MESSAGES: locale, LANG: locale, LANGUAGE: locale }),
		),
	);
	t.regex(texts[0]?.stderr ?? '', /[Nn]ot enough/);
	t.deepEqual(new Set(texts.map(({ stderr }) => stderr)).size, 1);
});
