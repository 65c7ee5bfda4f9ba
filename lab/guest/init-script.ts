/** The folders of administrators' commands, for any PATH of the caller. */
export const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** How a kernel reaches the host's files and its own modules. */
export interface GuestFiles {
	/** The name of the guest. */
	readonly hostname: string;
	/** A shell command that mounts a writable folder of the host at its own path. */
	mountHost(folder: string): string;
	/**
	 * Folders with modules, one named by each version of a kernel, that modprobe finds through its
	 * environment; `undefined`: they are in /lib/modules of the guest, where any modprobe looks.
	 */
	readonly modules?: string;
	/**
	 * Shell commands of the start, before the host's folders are mounted: `firstMounts` for a first
	 * process.
	 */
	readonly mounts: readonly string[];
}

/** The mounts of a first process. */
export const firstMounts: readonly string[] = [
	'mount -t proc proc /proc',
	'mount -t sysfs sysfs /sys',
	'mount -t tmpfs -o mode=755 tmpfs /run',
	'mkdir -p /run/lock /run/netns /dev/shm /dev/pts',
	'mount -t tmpfs tmpfs /dev/shm',
	'mount -t devpts devpts /dev/pts',
	'ln -sf /proc/self/fd /dev/fd',
];

/** The init script of one run. All paths are absolute and the same inside and outside. */
export interface InitScriptOptions {
	/** The folder of this run, writable inside; holds the output files. */
	readonly job: string;
	readonly command: string;
	readonly args: readonly string[];
	readonly cwd: string;
	readonly env: Readonly<Record<string, string>>;
	readonly modules: readonly string[];
	/** Host folders that the command may write to. */
	readonly writable: readonly string[];
	/** Host folders shadowed by a copy in memory: fast to read, writable, lost at the end. */
	readonly inMemory: readonly string[];
	readonly files: GuestFiles;
}

/** Names of the files of a run in its folder. */
export const jobFiles = { init: 'init', stdout: 'stdout', stderr: 'stderr', exitCode: 'exit-code' } as const;

/** A word for `/bin/sh`; any text is quoted. */
export function shellQuote(word: string): string {
	return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

const environmentName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Shell commands for a host that may have no /lib/modules to mount over, and whose root is read-only:
 * modprobe gets another root, by the environment of this script and by the kernel's helper. A program
 * that calls modprobe with an environment of its own finds no module.
 */
const modprobeElsewhere = (modules: string): readonly string[] => [
	'mkdir -p /run/kmod/lib/modules',
	`ln -s ${modules}/* /run/kmod/lib/modules/`,
	String.raw`printf '#!/bin/sh\nexec /sbin/modprobe -d /run/kmod "$@"\n' > /run/kmod/modprobe`,
	'chmod +x /run/kmod/modprobe',
	'echo /run/kmod/modprobe > /proc/sys/kernel/modprobe',
	'export MODPROBE_OPTIONS="-d /run/kmod"',
];

/**
 * The first process inside: mounts, modules, the command, its exit code, power off. @throws
 * TypeError for an invalid name of a shell variable
 */
export function initScript(options: InitScriptOptions): string {
	const { job, command, args, cwd, env, modules, writable, inMemory, files } = options;
	const q = shellQuote;
	for (const name of Object.keys(env))
		if (!environmentName.test(name)) throw new TypeError(`'${name}' is not the name of a variable`);
	const copyToMemory = (folder: string, index: number) =>
		[
			`mkdir -p /run/memory/${index}`,
			`cp -a ${q(folder)}/. /run/memory/${index}/`,
			`mount --bind /run/memory/${index} ${q(folder)}`,
		].join(' && ');
	return [
		'#!/bin/sh',
		`export PATH=${systemPath} HOME=/root LANG=C.UTF-8 TMPDIR=/run/tmp`,
		...files.mounts,
		'mkdir -p /run/tmp && chmod 1777 /run/tmp',
		files.mountHost(job),
		...writable.map((folder) => files.mountHost(folder)),
		...inMemory.map(copyToMemory),
		...(files.modules === undefined ? [] : modprobeElsewhere(files.modules)),
		...(modules.length === 0 ? [] : [`modprobe -a ${modules.map(q).join(' ')} 2>> ${q(`${job}/${jobFiles.stderr}`)}`]),
		`hostname ${files.hostname}`,
		'ip link set lo up',
		`cd ${q(cwd)}`,
		...Object.entries(env).map(([name, value]) => `export ${name}=${q(value)}`),
		`${[command, ...args].map(q).join(' ')} < /dev/null >> ${q(`${job}/${jobFiles.stdout}`)} 2>> ` +
			`${q(`${job}/${jobFiles.stderr}`)}`,
		`echo $? > ${q(`${job}/${jobFiles.exitCode}`)}`,
		'echo o > /proc/sysrq-trigger',
		// Power-off is not immediate, and a first process that ends is a kernel panic.
		'sleep 60',
		'',
	].join('\n');
}
