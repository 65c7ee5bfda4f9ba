import { runInGuest } from '../../lab/guest/index.ts';
import { qemuKernel } from '../../lab/qemu/index.ts';
import { qemuTest } from '../support/qemu.ts';

const modules = ['ipip', 'ip_set_hash_net', 'xt_set', 'nf_tables', 'vrf'];

for (const isSystemd of [false, true])
	qemuTest('6.12')(
		`modprobe with an empty environment finds the modules${isSystemd ? ', with systemd as the first process' : ''}`,
		async (t) => {
			t.timeout(500_000);
			const text = { stdout: '', stderr: '' };
			const { exitCode } = await runInGuest(qemuKernel('6.12', { isSystemd }), {
				command: '/bin/sh',
				args: ['-c', `env -i /sbin/modprobe -a ${modules.join(' ')}; lsmod; ls -d /lib/*`],
				modules: [],
				onOutput: (stream, chunk) => {
					text[stream] += Buffer.from(chunk).toString();
				},
			});
			t.is(exitCode, 0, text.stderr);
			const loaded = text.stdout.split('\n').map((line) => line.split(' ')[0]);
			t.deepEqual(
				modules.filter((module) => !loaded.includes(module)),
				[],
				text.stderr,
			);
			t.regex(text.stdout, /^\/lib\/systemd$/m, 'the libraries of the host are still there');
		},
	);
