import test from 'ava';
import { parseCommand } from '../../../lab/kubernetes/options.ts';

const optionsOf = (...argv: readonly string[]) => {
	const command = parseCommand(argv);
	return command.type === 'run' ? command.options : undefined;
};

test('each run is chosen by its own option', (t) => {
	t.like(optionsOf(), {
		smoke: false,
		chaos: false,
		chart: false,
		overlay: 'none',
		proxy: 'bgpmesh',
		dataplane: 'nftables',
	});
	t.like(optionsOf('--dataplane', 'ebpf'), { dataplane: 'ebpf' });
	for (const run of ['smoke', 'chaos', 'chart', 'rollout', 'cyclonus']) t.like(optionsOf(`--${run}`), { [run]: true });
});

test('cases of cyclonus are chosen by its tags', (t) => {
	t.like(optionsOf('--cyclonus'), { include: [], exclude: [] });
	const chosen = optionsOf('--cyclonus', '--include', 'egress,named-port', '--exclude', 'sctp');
	t.deepEqual([chosen?.include, chosen?.exclude], [['egress', 'named-port'], ['sctp']]);
});

for (const { title, argv, message } of [
	{ title: 'two runs', argv: ['--smoke', '--chaos'], message: /^one of --smoke, --chaos at a time/ },
	{ title: 'a focus without specs', argv: ['--chaos', '--focus', 'x'], message: /^--chaos runs no specs/ },
	{ title: 'tags without cyclonus', argv: ['--include', 'egress'], message: /^--include and --exclude choose cases/ },
	{ title: 'a regular expression that is none', argv: ['--focus', '('], message: /Invalid regular expression/ },
	{ title: 'no process', argv: ['--processes', '0'], message: /^--processes 0: expected 1 to 16/ },
	{ title: 'an unknown overlay', argv: ['--overlay', 'gre'], message: /^--overlay gre: expected none or vxlan/ },
	{ title: 'an unknown data plane', argv: ['--dataplane', 'c'], message: /^--dataplane c: expected nftables or ebpf/ },
	{ title: 'an unknown option', argv: ['--caos'], message: /--caos/ },
])
	test(`wrong usage is explained: ${title}`, (t) => {
		const command = parseCommand(argv);
		t.is(command.type, 'wrong');
		t.regex(command.type === 'wrong' ? command.text : '', message);
	});
