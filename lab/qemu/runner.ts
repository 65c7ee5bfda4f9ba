import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { bootScript, firstMounts, type GuestKernel, jobFiles, shellQuote, systemPath } from '../guest/index.ts';
import { findCommand } from '../uml/index.ts';
import { archive, fileEntry, folderEntry } from './archive.ts';
import { type InstalledKernel, installedKernel, type KernelSeries, moduleBytes, modulesInOrder } from './kernels.ts';

/** The drivers of the share with the host; all other modules come through it. */
const shareModules = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'];
const shareOptions = 'trans=virtio,version=9p2000.L,msize=512000';
const processors = 2;

/** The missing parts, as an instruction; `undefined`: kernels of Debian can run here. */
export function missingForQemu(series: KernelSeries): string | undefined {
	const commands = { 'qemu-system-x86_64': 'qemu-system-x86', busybox: 'busybox-static', xz: 'xz-utils' };
	const packages = Object.entries(commands).flatMap(([command, name]) =>
		findCommand(command) === undefined ? [name] : [],
	);
	return packages.length > 0 || installedKernel(series) === undefined ? 'npm run setup:kernels' : undefined;
}

/**
 * Debian's kernel of that series under QEMU without hardware support (TCG): slow, and complete. The
 * host's root is a read-only 9p share. `isSystemd`: the first process is the host's systemd, all
 * files can be written (in memory), and the job is a unit of it.
 */
export function qemuKernel(series: KernelSeries, { isSystemd = false } = {}): GuestKernel {
	return {
		name: `Debian's kernel ${series} in QEMU`,
		timeoutSeconds: 600,
		missing: () => missingForQemu(series),
		files: (writable) => ({
			hostname: 'qemu',
			// The unit of the job has mounted its folder, which holds the script.
			mountHost: (folder) =>
				isSystemd && folder === writable[0]
					? 'true'
					: `mount -t 9p -o ${shareOptions} share${writable.indexOf(folder)} ${shellQuote(folder)}`,
			mounts: isSystemd
				? []
				: [...firstMounts, 'mount -t cgroup2 none /sys/fs/cgroup', 'mount -t bpf none /sys/fs/bpf'],
		}),
		async boot(job, { memoryMiB, writable }) {
			const kernel = installedKernel(series);
			if (kernel === undefined) throw new Error(`there is no kernel ${series}: npm run setup:kernels`);
			await writeFile(join(job, 'first-root'), firstRoot(kernel, job, isSystemd));
			return boot(kernel, join(job, 'first-root'), { memoryMiB, writable });
		},
	};
}

/** The unit of the job where systemd is the first process. */
const jobUnit = (job: string) => `[Unit]
Description=the command of this guest
DefaultDependencies=no
Requires=systemd-journald.service
After=systemd-journald.service
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStartPre=/bin/mkdir -p ${job}
ExecStartPre=/bin/mount -t 9p -o ${shareOptions} share0 ${job}
ExecStart=/bin/sh ${join(job, jobFiles.init)}
`;

/** Shell commands that start systemd on the host's root at /root, with changes in memory. */
const startSystemd = ({ modules, release }: InstalledKernel): readonly string[] => [
	'/bin/busybox mkdir -p /lower /memory',
	'/bin/busybox mount --move /root /lower',
	'/bin/busybox mount -t tmpfs tmpfs /memory',
	'/bin/busybox mkdir /memory/upper /memory/work',
	'/bin/busybox mount -t overlay -o lowerdir=/lower,upperdir=/memory/upper,workdir=/memory/work overlay /root',
	'/bin/busybox mkdir -p /root/lib/modules',
	`/bin/busybox ln -sfn ${shellQuote(join(modules, release))} /root/lib/modules/${release}`,
	'/bin/busybox cp /job.service /root/etc/systemd/system/bgpmesh-guest.service',
	// Units of the host that this guest has no use for, or whose start it would wait for.
	'/bin/busybox rm -rf /root/etc/fstab /root/etc/systemd/system/multi-user.target.*',
	// It would empty the host's /tmp in memory, file by file.
	'/bin/busybox ln -sf /dev/null /root/etc/systemd/system/systemd-tmpfiles-setup.service',
	'/bin/busybox mount -t devtmpfs dev /root/dev',
	'exec /bin/busybox switch_root /root /lib/systemd/systemd --unit=bgpmesh-guest.service --show-status=0',
];

/**
 * A shell command that adds the modules to the host's /lib, which is read-only and may have none:
 * modprobe finds them there with any environment.
 */
const addModules = ({ modules }: InstalledKernel) =>
	`/bin/busybox mount -t overlay -o ro,lowerdir=${shellQuote(`/root${dirname(modules)}`)}:/root/lib overlay /root/lib`;

/** The archive that loads the drivers and changes to the host's root. */
function firstRoot(kernel: InstalledKernel, job: string, isSystemd: boolean): Buffer {
	const folder = join(kernel.modules, kernel.release);
	const files = modulesInOrder(readFileSync(join(folder, 'modules.dep'), 'utf8'), shareModules);
	const inside = (path: string) => `modules/${basename(path).replace(/\.xz$/, '')}`;
	const script = [
		'#!/bin/busybox sh',
		'/bin/busybox mkdir -p /proc /root',
		'/bin/busybox mount -t proc proc /proc',
		...files.map((path) => `/bin/busybox insmod /${inside(path)}`),
		`/bin/busybox mount -t 9p -o ro,cache=loose,${shareOptions} root /root`,
		'/bin/busybox umount /proc',
		...(isSystemd
			? startSystemd(kernel)
			: [
					addModules(kernel),
					'/bin/busybox mount -t devtmpfs dev /root/dev',
					`exec /bin/busybox switch_root /root /bin/sh ${shellQuote(join(job, jobFiles.init))}`,
				]),
		'',
	].join('\n');
	return gzipSync(
		archive([
			...['bin', 'dev', 'modules'].map(folderEntry),
			fileEntry('bin/busybox', readFileSync(findCommand('busybox') ?? '/bin/busybox')),
			...files.map((path) => fileEntry(inside(path), moduleBytes(join(folder, path)), 0o100644)),
			fileEntry('job.service', Buffer.from(jobUnit(job)), 0o100644),
			fileEntry('init', Buffer.from(script)),
		]),
		{ level: 1 },
	);
}

function boot(
	kernel: InstalledKernel,
	root: string,
	{ memoryMiB, writable }: { readonly memoryMiB: number; readonly writable: readonly string[] },
): ChildProcess {
	const share = (path: string, tag: string, more = '') => [
		...['-fsdev', `local,id=${tag},path=${path},security_model=none,multidevs=remap${more}`],
		...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
	];
	const args = [
		...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-m', String(memoryMiB), '-smp', String(processors)],
		...['-display', 'none', '-nodefaults', '-no-reboot', '-serial', 'stdio', '-monitor', 'none'],
		...['-kernel', kernel.image, '-initrd', root],
		...share('/', 'root', ',readonly=on'),
		...writable.flatMap((folder, index) => share(folder, `share${index}`)),
		'-append',
		'console=ttyS0 panic=-1 quiet edd=off mitigations=off tsc=reliable random.trust_cpu=1',
	];
	return spawn(
		'/bin/sh',
		['-c', bootScript, 'sh', findCommand('qemu-system-x86_64') ?? 'qemu-system-x86_64', ...args],
		{
			detached: true,
			stdio: ['pipe', 'pipe', 'pipe'],
			env: { PATH: systemPath },
		},
	);
}
