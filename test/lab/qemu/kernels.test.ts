import { execFileSync } from 'node:child_process';
import test from 'ava';
import { archive, fileEntry, folderEntry } from '../../../lab/qemu/archive.ts';
import { modulesInOrder } from '../../../lab/qemu/index.ts';
import { findCommand } from '../../../lab/uml/index.ts';

const dependencies = `kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz
kernel/net/9p/9pnet.ko.xz:
kernel/fs/netfs/netfs.ko.xz:
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio.ko:
`;

test('modules are loaded after those that they depend on, each once', (t) => {
	t.deepEqual(modulesInOrder(dependencies, ['9pnet-virtio', '9p']), [
		'kernel/drivers/virtio/virtio.ko',
		'kernel/net/9p/9pnet.ko.xz',
		'kernel/net/9p/9pnet_virtio.ko.xz',
		'kernel/fs/netfs/netfs.ko.xz',
		'kernel/fs/9p/9p.ko.xz',
	]);
});

test('a module that is built into the kernel is not loaded', (t) => {
	t.deepEqual(modulesInOrder(dependencies, ['overlay']), []);
});

const busybox = findCommand('busybox');
if (busybox === undefined) console.warn('SKIPPED: the archive is not read: busybox is not installed');
(busybox === undefined ? test.skip : test)('cpio reads the archive: names, modes and contents', (t) => {
	const input = archive([
		folderEntry('bin'),
		fileEntry('bin/hello', Buffer.from('text\n')),
		fileEntry('n', Buffer.of(), 0o100644),
	]);
	const list = execFileSync(busybox ?? '', ['cpio', '-itv'], {
		input,
		encoding: 'utf8',
		stdio: ['pipe', 'pipe', 'ignore'],
	});
	t.deepEqual(
		list
			.trim()
			.split('\n')
			.map((line) => line.split(/\s+/).filter((_, index, words) => index === 0 || index === words.length - 1)),
		[
			['drwxr-xr-x', 'bin'],
			['-rwxr-xr-x', 'bin/hello'],
			['-rw-r--r--', 'n'],
		],
	);
	const text = execFileSync(busybox ?? '', ['cpio', '-i', '--to-stdout', 'bin/hello'], {
		input,
		encoding: 'utf8',
		stdio: ['pipe', 'pipe', 'ignore'],
	});
	t.is(text, 'text\n');
});
