import { createHash } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { must } from '../commands.ts';
import { binary, findBinary, kubernetesVersion } from './binaries.ts';

/** An image as a `docker save` archive. */
export interface Image {
	readonly names: readonly string[];
	readonly file: string;
}

interface Recipe {
	readonly names: readonly string[];
	readonly entrypoint: readonly string[];
	readonly command?: readonly string[];
	readonly env?: readonly string[];
	/** The signal that ends the container; default: SIGTERM. */
	readonly stopSignal?: string;
	/** All inputs that determine the content, for the cache. */
	readonly key: string;
	fill(root: string): Promise<void>;
}

const cache = join(homedir(), '.cache/bgpmesh/images');

/** Packs a folder as an image of one layer, once for each `key`. */
async function build({ names, entrypoint, command = [], env = [], stopSignal, key, fill }: Recipe): Promise<Image> {
	const hash = createHash('sha256')
		.update(JSON.stringify([names, entrypoint, command, env, key]))
		.digest('hex')
		.slice(0, 16);
	const file = join(cache, `${hash}.tar`);
	if (existsSync(file)) return { names, file };
	await mkdir(cache, { recursive: true });
	const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-image-'));
	try {
		const root = join(folder, 'root');
		await mkdir(root);
		await fill(root);
		await must('tar', ['-C', root, '--owner=0', '--group=0', '--sort=name', '-cf', join(folder, 'layer.tar'), '.']);
		const digest = (await must('sha256sum', [join(folder, 'layer.tar')])).split(' ')[0] ?? '';
		const config = {
			architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
			os: 'linux',
			config: {
				Entrypoint: entrypoint,
				Cmd: command,
				Env: ['PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...env],
				...(stopSignal === undefined ? {} : { StopSignal: stopSignal }),
			},
			rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
		};
		await writeFile(join(folder, 'config.json'), JSON.stringify(config));
		const manifest = [{ Config: 'config.json', RepoTags: names, Layers: ['layer.tar'] }];
		await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
		const made = join(folder, 'image.tar');
		await must('tar', ['-C', folder, '-cf', made, 'manifest.json', 'config.json', 'layer.tar']);
		await cp(made, `${file}.${process.pid}`);
		await rename(`${file}.${process.pid}`, file);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
	return { names, file };
}

/** Copies a file to `target` below `root`, with the shared libraries that it is linked with. */
async function copyProgram(root: string, file: string, target = file): Promise<void> {
	const place = join(root, target);
	await mkdir(dirname(place), { recursive: true });
	await cp(realpathSync(file), place);
	const listed = await must('ldd', [realpathSync(file)]).catch(() => '');
	for (const [, library = ''] of listed.matchAll(/(\/\S+\.so\S*)/g)) {
		const copy = join(root, library);
		if (existsSync(copy)) continue;
		await mkdir(dirname(copy), { recursive: true });
		await cp(realpathSync(library), copy);
	}
}

/** The folders and files that programs expect of a root file system. */
async function skeleton(root: string): Promise<void> {
	for (const folder of ['etc', 'tmp', 'proc', 'sys', 'dev', 'var/run', 'root', 'bin', 'usr/bin']) {
		await mkdir(join(root, folder), { recursive: true });
	}
	await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
	await writeFile(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
	await writeFile(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
}

/**
 * A shell and the small commands; the shell is dash, since a shell of busybox prefers its own
 * applets.
 */
async function shell(root: string): Promise<void> {
	await skeleton(root);
	await copyProgram(root, binary('busybox'), '/bin/busybox');
	const applets = (await must(binary('busybox'), ['--list'])).trim().split('\n');
	const others = new Set(['sh', 'ash', 'nc', 'nslookup', 'wget', 'busybox']);
	for (const applet of applets) {
		if (!others.has(applet)) await symlink('/bin/busybox', join(root, 'bin', applet)).catch(() => {});
	}
	await copyProgram(root, binary('dash'), '/bin/sh');
}

/** Libraries that name resolution of glibc loads at run time. */
async function resolver(root: string): Promise<void> {
	const found = await must('sh', ['-c', 'ls /lib/*/libnss_dns.so.2 /lib/*/libnss_files.so.2 /lib/*/libresolv.so.2']);
	for (const library of found.trim().split('\n')) await copyProgram(root, library);
}

/** The sandbox image: a process that sleeps. */
const pause = (names: readonly string[]): Promise<Image> =>
	build({
		names,
		entrypoint: ['/pause'],
		key: 'pause 1',
		async fill(root) {
			await copyProgram(root, binary('busybox'), '/bin/busybox');
			await writeFile(
				join(root, 'pause'),
				'#!/bin/busybox sh\ntrap "exit 0" TERM INT\nwhile :; do sleep 3600 & wait $!; done\n',
				{
					mode: 0o755,
				},
			);
			await symlink('/bin/busybox', join(root, 'bin/sleep'));
		},
	});

/** Of a run of cyclonus: the name in its pods, and the program that it runs inside. */
const cyclonusWorker = { image: 'docker.io/mfenwick100/cyclonus-worker:latest', command: 'cyclonus-worker' } as const;

/**
 * Kubernetes' own test image, with the commands that its specs run inside, and that of cyclonus if it
 * is there.
 */
const agnhost = async (names: readonly string[], worker: string | undefined): Promise<Image> =>
	build({
		names,
		entrypoint: ['/agnhost'],
		command: ['pause'],
		key: `agnhost 3 ${kubernetesVersion}${worker === undefined ? '' : ` ${await must('sha256sum', [worker])}`}`,
		async fill(root) {
			await shell(root);
			await cp(binary('agnhost'), join(root, 'agnhost'));
			if (worker !== undefined) await cp(worker, join(root, 'worker'));
			await copyProgram(root, binary('nc.openbsd'), '/bin/nc');
			for (const name of ['curl', 'wget', 'dig', 'nslookup', 'iperf', 'getent'])
				await copyProgram(root, binary(name), `/usr/bin/${name}`);
			await resolver(root);
			const [key, certificate] = [join(root, 'localhost.key'), join(root, 'localhost.crt')];
			const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
			await must('openssl', [
				...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650'],
				...['-keyout', key, '-out', certificate, ...subject],
			]);
		},
	});

const coredns = (names: readonly string[]): Promise<Image> =>
	build({
		names,
		entrypoint: ['/coredns'],
		key: `coredns ${binary('coredns')}`,
		async fill(root) {
			await skeleton(root);
			await cp(binary('coredns'), join(root, 'coredns'));
		},
	});

/**
 * Our own image, with the content of the Dockerfile and this machine's Node.js. `repository`: a
 * built checkout.
 */
async function ours(names: readonly string[], repository: string): Promise<Image> {
	const copied = [binary('nft'), binary('ip'), process.execPath];
	const built = await must('sh', [
		'-c',
		`cd '${repository}' && find bin dist/src dist/*.cjs dist/*.mjs dist/executables config ` +
			`packages/bgp-packet/dist/src package-lock.json ${copied.join(' ')} -type f | sort | xargs ` +
			'sha256sum | sha256sum',
	]);
	return build({
		names,
		entrypoint: ['bgpmeshd'],
		command: ['--config', '/etc/bgpmesh/bgpmeshd.yaml'],
		env: ['NODE_ENV=production'],
		// As in the Dockerfile: sessions end without a NOTIFICATION, so that peers keep the routes.
		stopSignal: 'SIGUSR2',
		key: `bgpmesh 3 ${built}`,
		async fill(root) {
			await shell(root);
			await resolver(root);
			await copyProgram(root, process.execPath, '/usr/local/bin/node');
			for (const name of ['nft', 'ip']) await copyProgram(root, binary(name), `/usr/sbin/${name}`);
			const home = join(root, 'opt/bgpmesh');
			await mkdir(join(home, 'packages/bgp-packet'), { recursive: true });
			for (const name of ['package.json', 'package-lock.json', 'packages/bgp-packet/package.json'])
				await cp(join(repository, name), join(home, name));
			await must('npm', [
				...['ci', '--prefix', home, '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
			]);
			for (const name of ['bin', 'dist/src', 'dist/executables', 'config', 'packages/bgp-packet/dist/src'])
				await cp(join(repository, name), join(home, name), { recursive: true });
			for (const name of ['dist/bgpmesh-ipam.cjs', 'dist/client-node.mjs'])
				await cp(join(repository, name), join(home, name));
			for (const name of ['bgpmesh', 'bgpmeshd', 'bgpmesh-cni'])
				await symlink(`/opt/bgpmesh/bin/${name}.js`, join(root, 'usr/local/bin', name));
			// The first line of our programs uses `env -S`, which busybox lacks.
			await copyProgram(root, '/usr/bin/env');
			await symlink('/opt/bgpmesh/dist/bgpmesh-ipam.cjs', join(root, 'usr/local/bin/bgpmesh-ipam'));
		},
	});
}

/** Names of the images of ours in the cluster. */
export const imageNames = {
	bgpmesh: 'bgpmesh.test/bgpmesh:e2e',
	pause: 'bgpmesh.test/pause:e2e',
	coredns: 'bgpmesh.test/coredns:e2e',
	agnhost: 'bgpmesh.test/agnhost:e2e',
};

/** The names in the specs of the images that we can build, read from the specs themselves. */
async function namesInSpecs(): Promise<readonly string[]> {
	const specs = findBinary('e2e.test');
	const list = specs === undefined ? '' : await must(specs, ['--list-images']).catch(() => '');
	return list.split('\n').filter((line) => /^[\w.:/-]+$/.test(line));
}

/** Builds every image that the cluster runs. `repository`: a built checkout. */
export async function makeImages(repository: string): Promise<readonly Image[]> {
	const wanted = await namesInSpecs();
	const worker = findBinary(cyclonusWorker.command);
	const like = (pattern: RegExp) => wanted.filter((name) => pattern.test(name));
	return [
		await pause([imageNames.pause, ...like(/\/pause:/)]),
		await agnhost(
			[
				...[imageNames.agnhost, ...like(/\/(agnhost|jessie-dnsutils|busybox):/)],
				...(worker === undefined ? [] : [cyclonusWorker.image]),
			],
			worker,
		),
		await coredns([imageNames.coredns]),
		await ours([imageNames.bgpmesh], repository),
	];
}
