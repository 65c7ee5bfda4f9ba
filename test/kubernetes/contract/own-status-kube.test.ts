import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import anyTest from 'ava';
import { nodePolicyStatuses } from '../../../src/daemon/policy/reporter.ts';
import { type JsonObject, parseJson, textAt } from '../../../src/json/index.ts';
import { type ApiClient, coreKinds, type ResourceKind } from '../../../src/kubernetes/index.ts';
import { mostReported, reportStatus } from '../../../src/policy/index.ts';
import { connect } from './cluster.ts';
import { rights, tokenOfNode } from './rights.ts';
import { missing, startReal } from './servers.ts';
import { ask, type ServerUnderTest } from './transcript.ts';

// Service accounts, their tokens and policies of admission are the real server's alone.
const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-own-status-'));
const admission = (kind: string): ResourceKind => ({
	kind,
	apiVersion: 'admissionregistration.k8s.io/v1',
	plural: kind === 'ValidatingAdmissionPolicy' ? 'validatingadmissionpolicies' : 'validatingadmissionpolicybindings',
	namespaced: false,
});
const path = '/apis/bgpmesh.internal/v1alpha1/nodepolicystatuses';

let server: ServerUnderTest;
let api: ApiClient;
/** Token of a daemon in a pod of no node, and of pods of two nodes. */
const tokens = { unbound: '', a: '', b: '' };
type Writer = keyof typeof tokens;

const object = (name: string, status: JsonObject = {}): JsonObject => ({
	apiVersion: nodePolicyStatuses.apiVersion,
	kind: nodePolicyStatuses.kind,
	metadata: { name },
	status: { mode: 'enforced', writtenAt: '2026-01-02T03:04:05Z', ...status },
});

const as = (writer: Writer) => ({ ...server, token: tokens[writer] });
const create = (writer: Writer, name: string, status?: JsonObject) =>
	ask(as(writer), { method: 'POST', path, body: object(name, status) });
const change = (writer: Writer, name: string, status: JsonObject) =>
	ask(as(writer), {
		method: 'PATCH',
		path: `${path}/${name}`,
		body: { status },
		contentType: 'application/merge-patch+json',
	});

/** A token as a pod of the node has it. */
async function tokenOn(node: string): Promise<string> {
	const { metadata } = await api.create(coreKinds.nodes, { apiVersion: 'v1', kind: 'Node', metadata: { name: node } });
	const { text } = await ask(server, {
		method: 'POST',
		path: '/api/v1/namespaces/kube-system/serviceaccounts/bgpmesh/token',
		body: {
			apiVersion: 'authentication.k8s.io/v1',
			kind: 'TokenRequest',
			spec: {
				expirationSeconds: 86_400,
				boundObjectRef: {
					kind: 'Node',
					apiVersion: 'v1',
					name: node,
					uid: textAt({ metadata }, 'metadata', 'uid') ?? '',
				},
			},
		},
	});
	const token = textAt(parseJson(text), 'status', 'token');
	if (token === undefined) throw new Error(text);
	return token;
}

if (missing.length > 0)
	anyTest.skip(
		`a daemon writes the policy status of its own node alone, on a real kube-apiserver: ${missing.join(' and ')} not found; \`npm run setup:kube\` builds it`,
		() => {},
	);
else {
	anyTest.before(async () => {
		server = await startReal();
		api = await connect(server, folder);
		tokens.unbound = await tokenOfNode(server, folder);
		tokens.a = await tokenOn('a');
		tokens.b = await tokenOn('b');
		for (let turn = 0; (await create('unbound', 'any')).code !== 201; turn++) {
			if (turn > 300) throw new Error(`not served: ${(await create('unbound', 'any')).text}`);
			await pause(200);
		}
	});
	anyTest.after.always(() => server?.stop());

	anyTest.serial('the definition accepts what a daemon writes, and bounds it', async (t) => {
		const report = reportStatus(
			{
				mode: 'enforced',
				waitingFor: [],
				failure: 'x'.repeat(10_000),
				versions: { NetworkPolicy: '12345678901234567890' },
				recent: Array.from({ length: mostReported }, (_, index) => ({
					policy: `NetworkPolicy ns/p${index}`,
					generation: index,
					since: '2026-01-02T03:04:05.678Z',
				})),
			},
			new Date().toISOString(),
		);
		const accepted = await create('a', 'a', report);
		t.is(accepted.code, 201, accepted.text);
		for (const [title, status] of [
			['an unknown mode', { mode: 'half' }],
			['a time that is none', { writtenAt: 'yesterday' }],
			['a list without end', { waitingFor: Array.from({ length: 33 }, (_, index) => `Kind${index}`) }],
			['a long failure', { failure: 'x'.repeat(301) }],
			['a version that is no text', { versions: { NetworkPolicy: 5 } }],
			['a policy without a generation', { recent: [{ policy: 'NetworkPolicy ns/p', since: '2026-01-02T03:04:05Z' }] }],
		] as const) {
			const { code, text } = await change('a', 'a', status as JsonObject);
			t.is(code, 422, `${title}: ${text}`);
		}
	});

	anyTest.serial('with the admission policy a daemon writes the object of its own node alone', async (t) => {
		t.timeout(120_000);
		// Without it, RBAC allows all of them.
		t.is((await change('b', 'a', { failure: 'from b' })).code, 200);
		for (const manifest of rights('own-policy-status.yaml'))
			await api.create(admission(textAt(manifest, 'kind') ?? ''), manifest);
		// It takes effect within seconds.
		for (let turn = 0; (await change('b', 'a', { failure: `turn ${turn}` })).code === 200 && turn < 300; turn++)
			await pause(200);
		for (const [writer, name, code] of [
			['b', 'b', 201],
			['a', 'c', 403],
			['unbound', 'd', 403],
		] as const) {
			const reply = await create(writer, name);
			t.is(reply.code, code, `${writer} creates ${name}: ${reply.text}`);
		}
		for (const [writer, name, code] of [
			['a', 'a', 200],
			['b', 'b', 200],
			['a', 'b', 403],
			['b', 'a', 403],
			['unbound', 'a', 403],
		] as const) {
			const reply = await change(writer, name, { failure: `${writer} was here` });
			t.is(reply.code, code, `${writer} changes ${name}: ${reply.text}`);
		}
		const refusal = await change('b', 'a', { failure: 'once more' });
		t.regex(refusal.text, /a daemon on node b must not write the object of node a/);
		// Others are not concerned: an administrator may remove what a node left.
		await api.remove(nodePolicyStatuses, 'b');
	});
}
