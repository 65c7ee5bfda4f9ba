import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { kubeconfigOf } from '../../src/apiserver/index.ts';
import { CommandError, run } from '../commands.ts';
import { binary } from './binaries.ts';
import type { Processes } from './processes.ts';
import type { ClusterTopology } from './topology.ts';

/** The inputs of a control plane. */
export interface ControlPlaneDependencies {
	readonly topology: ClusterTopology;
	readonly folder: string;
	readonly processes: Processes;
	/** Enters the router's network namespace. */
	readonly within: readonly string[];
}

/** etcd, kube-apiserver, controller manager and scheduler on the router, and `kubectl` for them. */
export class ControlPlane {
	readonly kubeconfig: string;
	readonly #dependencies: ControlPlaneDependencies;

	constructor(dependencies: ControlPlaneDependencies) {
		this.#dependencies = dependencies;
		this.kubeconfig = join(dependencies.folder, 'kubeconfig');
	}

	/** Starts all of it and returns when the API server is ready. @throws CommandError */
	async start(signal: AbortSignal): Promise<void> {
		const { topology, folder } = this.#dependencies;
		await mkdir(join(folder, 'pki'), { recursive: true });
		const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
		await writeFile(this.#pki('sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
		await writeFile(this.#pki('sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
		const token = randomBytes(16).toString('hex');
		await writeFile(this.#pki('tokens.csv'), `${token},admin,admin,system:masters\n`, { mode: 0o600 });
		await writeFile(
			this.kubeconfig,
			JSON.stringify(
				kubeconfigOf({
					server: `https://${topology.controlPlane}:6443`,
					certificate: { file: this.#pki('apiserver.crt') },
					token,
				}),
			),
			{ mode: 0o600 },
		);
		this.#start('etcd', [
			...['--data-dir', join(folder, 'etcd'), '--unsafe-no-fsync'],
			...['--listen-client-urls', 'http://127.0.0.1:2379', '--advertise-client-urls', 'http://127.0.0.1:2379'],
			...['--listen-peer-urls', 'http://127.0.0.1:2380'],
		]);
		this.startApiServer();
		await this.ready(signal);
		const common = [`--kubeconfig=${this.kubeconfig}`, '--leader-elect=false'];
		this.#start('kube-controller-manager', [
			...common,
			`--service-account-private-key-file=${this.#pki('sa.key')}`,
			`--root-ca-file=${this.#pki('apiserver.crt')}`,
			'--use-service-account-credentials',
			'--controllers=*,-nodeipam,-route',
		]);
		this.#start('kube-scheduler', common);
	}

	/** The API server alone, at the start and after it was stopped. */
	startApiServer(): void {
		const { topology } = this.#dependencies;
		this.#start('kube-apiserver', [
			'--etcd-servers=http://127.0.0.1:2379',
			'--secure-port=6443',
			`--advertise-address=${topology.controlPlane}`,
			`--cert-dir=${this.#pki('')}`,
			'--service-account-issuer=https://kubernetes.default.svc.cluster.local',
			`--service-account-key-file=${this.#pki('sa.pub')}`,
			`--service-account-signing-key-file=${this.#pki('sa.key')}`,
			`--token-auth-file=${this.#pki('tokens.csv')}`,
			'--authorization-mode=Node,RBAC',
			`--service-cluster-ip-range=${topology.serviceCidr}`,
			'--allow-privileged',
			'--kubelet-preferred-address-types=InternalIP',
		]);
	}

	/** @throws CommandError if it exited, or is not ready within two minutes */
	async ready(signal: AbortSignal): Promise<void> {
		const { processes } = this.#dependencies;
		for (let attempt = 0; attempt < 600; attempt++) {
			for (const name of ['etcd', 'kube-apiserver']) {
				const lines = processes.lastLinesOf(name);
				if (lines !== undefined) throw new CommandError(name, null, lines);
			}
			if (existsSync(this.#pki('apiserver.crt'))) {
				const { status } = await this.try(['get', '--raw', '/readyz']);
				if (status === 0) return;
			}
			await pause(200, undefined, { signal });
		}
		throw new CommandError('kube-apiserver', null, 'it was not ready within two minutes');
	}

	/** `kubectl` with these arguments; any status resolves. */
	try(args: readonly string[], input?: string) {
		const [program = '', ...within] = this.#dependencies.within;
		return run(program, [...within, binary('kubectl'), `--kubeconfig=${this.kubeconfig}`, ...args], input);
	}

	/** The same, for a command that must succeed. @throws CommandError */
	async kubectl(args: readonly string[], input?: string): Promise<string> {
		const { status, stdout, stderr } = await this.try(args, input);
		if (status !== 0) throw new CommandError(`kubectl ${args.join(' ')}`, status, stderr || stdout);
		return stdout;
	}

	#pki(name: string): string {
		return join(this.#dependencies.folder, 'pki', name);
	}

	#start(name: string, flags: readonly string[]): void {
		const { processes, within } = this.#dependencies;
		processes.start(name, [...within, binary(name), ...flags]);
	}
}
