import { existsSync } from 'node:fs';
import test from 'ava';
import { reasonIn } from '../../bench/subject-process.ts';
import { subjects } from '../../bench/subjects/index.ts';
import { enter, pathAt, sidRoot } from '../../lab/debian.ts';

test('a daemon that cannot start is reported in one line with its reason', (t) => {
	const log = [
		'2026/12/01 05:39:23 startup',
		'fatal in RDE: chroot: No such file or directory',
		'peer closed imsg connection',
		'',
	].join('\n');
	t.is(reasonIn(log), 'fatal in RDE: chroot: No such file or directory');
	t.is(reasonIn('first\nlast\n'), 'last');
	t.is(reasonIn(''), 'it wrote nothing');
});

test('a program of the host is started directly, one of Debian unstable under chroot with its folder bound', (t) => {
	t.deepEqual(enter('host', ['/usr/sbin/bird', '-f']), ['/usr/sbin/bird', '-f']);
	const command = enter('sid', ['/usr/sbin/bird', '-f'], { user: 65534, folder: '/tmp/bench' });
	t.deepEqual(command.slice(0, 4), ['unshare', '--mount', '--propagation', 'private']);
	t.deepEqual(command.slice(-4), ['65534:65534', '/tmp/bench', '/usr/sbin/bird', '-f']);
	t.is(pathAt('sid', '/usr/sbin/bird'), `${sidRoot}/usr/sbin/bird`);
});

test('the reason for a missing reflector of Debian unstable names its setup command', (t) => {
	const ofSid = subjects.filter(({ age }) => age === 'sid');
	t.deepEqual(
		ofSid.map(({ name }) => name),
		['bird@sid', 'bird3@sid', 'frr@sid', 'gobgp@sid', 'openbgpd@sid'],
	);
	for (const subject of ofSid) {
		const reason = subject.missing();
		if (existsSync(sidRoot) && process.getuid?.() === 0) t.is(reason, undefined);
		else t.regex(reason ?? '', /npm run setup:peers|needs root/);
	}
});

test('the folders that a daemon needs outside of its own are listed', (t) => {
	const openbgpd = subjects.find(({ name }) => name === 'openbgpd');
	const launch = openbgpd?.launch({
		address: '127.16.255.254',
		port: 1790,
		asNumber: 64512,
		clusterId: '10.255.0.1',
		clients: [],
		clientRange: '127.16.0.0/16',
		holdTimeSeconds: 90,
		family: 'ipv4',
		denied: [],
		folder: '/tmp/bench',
	});
	t.deepEqual(launch?.folders, ['/run/openbgpd']);
});
