import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestFn } from 'ava';
import { parseAllDocuments } from 'yaml';
import { parseConfig } from '../../../src/config/index.ts';
import { ControlClient, type StatusView } from '../../../src/control/index.ts';
import { followedKinds } from '../../../src/daemon/policy/kinds.ts';
import { eventKind } from '../../../src/daemon/policy/problem-events.ts';
import { nodePolicyStatuses } from '../../../src/daemon/policy/reporter.ts';
import { kubeControllersKind } from '../../../src/daemon/services/open-load-balancers.ts';
import { arrayAt, type JsonObject, parseJson, textAt } from '../../../src/json/index.ts';
import { type ApiClient, calicoKinds, coreKinds, type ResourceKind } from '../../../src/kubernetes/index.ts';
import { RunningDaemon } from '../../support/daemon.ts';
import { connect, daemonKubeconfig } from './cluster.ts';
import { ask, type ServerUnderTest } from './transcript.ts';

const folderOfRights = resolve(fileURLToPath(import.meta.url), '../../../../../config/rbac');
const account = 'system:serviceaccount:kube-system:bgpmesh';
const layout = 'crd.projectcalico.org/v1';
const rbac = 'rbac.authorization.k8s.io/v1';
const roles: ResourceKind = { kind: 'ClusterRole', apiVersion: rbac, plural: 'clusterroles', namespaced: false };
const kindsOfRights: Readonly<Record<string, ResourceKind>> = {
	ServiceAccount: { kind: 'ServiceAccount', apiVersion: 'v1', plural: 'serviceaccounts', namespaced: true },
	ClusterRole: roles,
	ClusterRoleBinding: {
		kind: 'ClusterRoleBinding',
		apiVersion: rbac,
		plural: 'clusterrolebindings',
		namespaced: false,
	},
	Role: { kind: 'Role', apiVersion: rbac, plural: 'roles', namespaced: true },
	RoleBinding: { kind: 'RoleBinding', apiVersion: rbac, plural: 'rolebindings', namespaced: true },
};

/** The objects of a file of `config/rbac`. */
export const rights = (file: string): JsonObject[] =>
	parseAllDocuments(readFileSync(join(folderOfRights, file), 'utf8')).map(
		(document) => document.toJSON() as JsonObject,
	);

/** Binds the permissions of `config/rbac` to the service account, and requests a token for it. */
export async function tokenOfNode(server: ServerUnderTest, folder: string): Promise<string> {
	const api = await connect(server, folder);
	for (const object of rights('node.yaml')) {
		const kind = kindsOfRights[textAt(object, 'kind') ?? ''];
		if (kind === undefined) throw new Error(`what is ${textAt(object, 'kind')}?`);
		await api.create(kind, object, textAt(object, 'metadata', 'namespace'));
	}
	const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 86_400 } };
	const { text } = await ask(server, {
		method: 'POST',
		path: '/api/v1/namespaces/kube-system/serviceaccounts/bgpmesh/token',
		body: request,
	});
	return textAt(parseJson(text), 'status', 'token') ?? '';
}

/** The behaviour of a daemon with a missing permission. Only where authorization is enforced. */
export function testRights(test: TestFn, getServer: () => ServerUnderTest, folder: string): void {
	const resources = (rule: JsonObject) => arrayAt(rule, 'resources');
	/** Removes a resource from the ClusterRole; returns the way back. */
	const without = async (api: ApiClient, resource: string) => {
		const rules = arrayAt(
			rights('node.yaml').find((object) => textAt(object, 'kind') === 'ClusterRole'),
			'rules',
		) as readonly JsonObject[];
		const patched = rules.map((rule) => ({ ...rule, resources: resources(rule).filter((name) => name !== resource) }));
		const set = (value: readonly JsonObject[]) =>
			api.patch(roles, 'bgpmesh-node', { rules: value }, 'application/merge-patch+json');
		await set(patched.filter((rule) => rule.resources.length > 0));
		return () => set(rules);
	};
	const setUp = async (api: ApiClient, node: string) => {
		await api.create(coreKinds.nodes, {
			apiVersion: 'v1',
			kind: 'Node',
			metadata: { name: node, annotations: { 'projectcalico.org/IPv4Address': '127.0.0.1/8' } },
		});
		const daemon = new RunningDaemon();
		const port = 20_000 + (process.pid % 20_000);
		writeFileSync(
			daemon.configFile,
			`node: ${node}\ndatastore: { type: kubernetes, kubeconfig: ${daemonKubeconfig(getServer(), folder)} }\nbgp: { asNumber: 64512, listen: { address: 127.0.0.1, port: ${port} } }\nfib: { enabled: false }\ncontrol: { socket: ${daemon.socket} }\nlog: { format: text }\n`,
		);
		return daemon;
	};

	test.serial(
		'a daemon without permission to read Pods runs without them, reports it, and uses the permission once it is granted',
		async (t) => {
			const api = await connect(getServer(), folder);
			const giveBack = await without(api, 'pods');
			const daemon = await setUp(api, 'podless');
			await daemon.start(t);
			t.is(daemon.exitCode, undefined, daemon.log);
			const reason = `pods is forbidden: User "${account}" cannot list resource "pods" in API group "" at the cluster scope`;
			const { cluster } = (await daemon.ask('status')) as StatusView;
			t.like(cluster?.refused?.[0], { kind: 'Pod', reason });
			t.is(cluster?.refused?.length, 1);
			t.is(cluster?.awaySince, undefined);
			t.true((await daemon.cli('status')).stdout.includes(`the API server refuses: ${reason}`));
			t.true(daemon.log.includes('the API server does not let this node read a kind') && daemon.log.includes(account));
			t.true(
				(await new ControlClient(daemon.socket).metrics()).includes(
					'bgpmesh_apiserver_refused{kind="Pod",namespace=""} 1',
				),
			);
			await giveBack();
			await daemon.until(
				'the right is seen',
				(client) => client.ask('status', {}),
				(status) => status.cluster?.refused === undefined,
			);
			t.false((await new ControlClient(daemon.socket).metrics()).includes('bgpmesh_apiserver_refused{'));
			await api.remove(coreKinds.nodes, 'podless');
		},
	);

	test.serial(
		'a daemon without a required permission waits, reports the permission, and starts once it is granted',
		async (t) => {
			const api = await connect(getServer(), folder);
			const giveBack = await without(api, 'bgppeers');
			const daemon = await setUp(api, 'peerless');
			const started = daemon.start(t);
			for (let tries = 0; tries < 600 && !daemon.log.includes('kind=BGPPeer'); tries++)
				await new Promise((resolve) => setTimeout(resolve, 50));
			t.regex(
				daemon.log,
				new RegExp(
					`error .*kind=BGPPeer .*bgppeers.crd.projectcalico.org is forbidden: User \\\\?"${account}\\\\?" cannot list resource \\\\?"bgppeers\\\\?"`,
				),
			);
			t.false(daemon.log.includes(' ready '));
			await giveBack();
			await started;
			t.is(daemon.exitCode, undefined, daemon.log);
			await api.remove(coreKinds.nodes, 'peerless');
		},
	);

	test.serial(
		'the DaemonSet of config is valid, uses the service account, and contains a valid configuration',
		async (t) => {
			const [config, daemons] = parseAllDocuments(
				readFileSync(resolve(folderOfRights, '../daemonset.yaml'), 'utf8'),
			).map((document) => document.toJSON() as JsonObject);
			if (config === undefined || daemons === undefined) return t.fail();
			const told = await Promise.all([
				ask(getServer(), {
					method: 'POST',
					path: '/api/v1/namespaces/kube-system/configmaps?dryRun=All&fieldValidation=Strict',
					body: config,
				}),
				ask(getServer(), {
					method: 'POST',
					path: '/apis/apps/v1/namespaces/kube-system/daemonsets?dryRun=All&fieldValidation=Strict',
					body: daemons,
				}),
			]);
			for (const { code, text } of told) t.is(code, 201, text);
			t.is(
				textAt(daemons, 'spec', 'template', 'spec', 'serviceAccountName'),
				textAt(rights('node.yaml')[0], 'metadata', 'name'),
			);
			t.like(parseConfig(textAt(config, 'data', 'bgpmeshd.yaml') ?? '', 'bgpmeshd.yaml'), {
				datastore: { type: 'kubernetes', stateDirectory: '/var/lib/bgpmesh' },
			});
		},
	);

	test.serial('every permission of the manifest is used, and no resource is listed twice', (t) => {
		const named = rights('node.yaml').flatMap((object) =>
			arrayAt(object, 'rules').flatMap((rule) => resources(rule as JsonObject)),
		);
		const known = new Set<unknown>(
			[
				...[calicoKinds(layout), calicoKinds('projectcalico.org/v3'), coreKinds].flatMap((kinds) =>
					Object.values(kinds),
				),
				...followedKinds(layout).map(({ kind }) => kind),
				kubeControllersKind(layout),
				nodePolicyStatuses,
				eventKind,
			].map(({ plural }) => plural),
		);
		t.deepEqual(
			named.filter((name) => !known.has(String(name).split('/')[0])),
			[],
		);
		t.deepEqual(
			[...known].filter((plural) => !named.includes(plural as string)),
			[],
		);
	});
}
