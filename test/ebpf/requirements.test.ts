import test from 'ava';
import { type MachineFacts, missingRequirements } from '../../src/ebpf/index.ts';

const capabilities = (...bits: readonly bigint[]) =>
	`Name:\tnode\nCapEff:\t${bits
		.reduce((sum, bit) => sum | (1n << bit), 0n)
		.toString(16)
		.padStart(16, '0')}\n`;
const [netAdmin, sysAdmin, sysResource, bpf] = [12n, 21n, 24n, 39n];
const limits = (soft: string, hard: string) =>
	`Limit                     Soft Limit           Hard Limit           Units\nMax locked memory         ${soft}  ${hard}  bytes\n`;
const sound: MachineFacts = {
	architecture: 'x64',
	kernelRelease: '6.1.0-18-amd64',
	processStatus: capabilities(netAdmin, bpf),
	processLimits: limits('65536', '65536'),
};
const counted =
	'the capability CAP_SYS_RESOURCE is missing: kernel 5.10.0 counts maps as locked memory, ' +
	'which is limited (RLIMIT_MEMLOCK)';

const rows: readonly { readonly title: string; readonly facts: Partial<MachineFacts>; readonly missing: string[] }[] = [
	{ title: 'CAP_BPF with CAP_NET_ADMIN', facts: {}, missing: [] },
	{
		title: 'CAP_SYS_ADMIN in place of CAP_BPF',
		facts: { processStatus: capabilities(netAdmin, sysAdmin) },
		missing: [],
	},
	{
		title: 'no capability',
		facts: { processStatus: capabilities() },
		missing: [
			'the capability CAP_NET_ADMIN is missing',
			'the capability CAP_BPF is missing (CAP_SYS_ADMIN before kernel 5.8)',
		],
	},
	{
		title: 'an old kernel',
		facts: { kernelRelease: '5.4.0-150-generic', processStatus: capabilities(netAdmin, sysAdmin, sysResource) },
		missing: ['kernel 5.4.0-150-generic is older than 5.10'],
	},
	{ title: 'locked memory is limited', facts: { kernelRelease: '5.10.0' }, missing: [counted] },
	{
		title: 'the limit of locked memory can be raised',
		facts: { kernelRelease: '5.10.0', processStatus: capabilities(netAdmin, sysAdmin, sysResource) },
		missing: [],
	},
	...(['unlimited', '1073741824'] as const).map((hard) => ({
		title: `locked memory up to ${hard}`,
		facts: { kernelRelease: '5.10.0', processLimits: limits(hard, hard) },
		missing: [],
	})),
	{ title: 'kernel 5.11 counts no maps', facts: { kernelRelease: '5.11.0' }, missing: [] },
	{
		title: 'another architecture',
		facts: { architecture: 's390x' },
		missing: ['the architecture s390x is not supported: x64 or arm64'],
	},
	{ title: 'an unreadable status', facts: { processStatus: undefined }, missing: [] },
];

for (const { title, facts, missing } of rows)
	test(`what a machine lacks for eBPF: ${title}`, (t) => {
		t.deepEqual(missingRequirements({ ...sound, ...facts }), missing);
	});
