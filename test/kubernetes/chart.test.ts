import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import anyTest, { type ExecutionContext } from 'ava';
import { parse, parseAllDocuments } from 'yaml';
import { parseConfig } from '../../src/config/index.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const config = join(root, 'config');

/** A command that a `setup` script built, else one of the system. */
function built(folder: string, name: string): string | undefined {
	const cache = join(homedir(), '.cache/bgpmesh', folder);
	const versions = existsSync(cache) ? readdirSync(cache).sort().reverse() : [];
	const file = versions.map((version) => join(cache, version, name)).find((path) => existsSync(path));
	return file ?? (spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim() || undefined);
}

const helm = built('helm', 'helm');
const kubectl = built('kube', 'kubectl');

type Manifest = Record<string, unknown> & {
	readonly kind: string;
	readonly metadata: { readonly name: string; readonly namespace?: string };
};

const read = (text: string): Manifest[] =>
	parseAllDocuments(text)
		.map((document) => document.toJS() as Manifest | null)
		.filter((manifest) => manifest !== null);

const idOf = ({ kind, metadata: { name, namespace = '' } }: Manifest) => `${kind} ${namespace}/${name}`;
const byId = (manifests: readonly Manifest[]) => new Map(manifests.map((manifest) => [idOf(manifest), manifest]));

function run(t: ExecutionContext, command: string, ...args: readonly string[]): string {
	const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', cwd: root });
	t.is(status, 0, stderr);
	return stdout;
}

/** The chart's objects with these values. */
const render = (t: ExecutionContext, ...values: readonly string[]): Manifest[] =>
	read(run(t, helm ?? '', 'template', 'bgpmesh', 'config', '--include-crds', '--kube-version=1.34.0', ...values));

/** Without the labels and the checksum that the chart adds. */
function bare(manifest: Manifest): unknown {
	const copy = structuredClone(manifest) as unknown as {
		metadata: { labels?: Record<string, string> };
		spec?: { template?: { metadata: { annotations?: Record<string, string> } } };
	};
	const labels = Object.entries(copy.metadata.labels ?? {}).filter(
		([name]) => !name.startsWith('app.kubernetes.io/') && name !== 'helm.sh/chart',
	);
	delete copy.metadata.labels;
	if (labels.length > 0) copy.metadata.labels = Object.fromEntries(labels);
	const annotations = copy.spec?.template?.metadata.annotations;
	if (annotations !== undefined) {
		delete annotations['checksum/config'];
		if (Object.keys(annotations).length === 0) delete copy.spec?.template?.metadata.annotations;
	}
	return copy;
}

/** The container and the configuration of the daemon in rendered objects. */
function daemonIn(manifests: readonly Manifest[]) {
	const find = (kind: string) => manifests.find((each) => each.kind === kind && each.metadata.name === 'bgpmesh');
	const { spec } = find('DaemonSet') as unknown as { spec: { template: { spec: Record<string, unknown> } } };
	const pod = spec.template.spec as Record<string, unknown> & { containers: Record<string, unknown>[] };
	const { data } = find('ConfigMap') as unknown as { data: Record<string, string> };
	return { pod, container: pod.containers[0] ?? {}, text: data['bgpmeshd.yaml'] ?? '' };
}

const withHelm = helm === undefined ? anyTest.skip : anyTest;
const why = helm === undefined ? ' (skipped: no helm; `npm run setup:helm` builds it)' : '';
const withBoth = helm === undefined || kubectl === undefined ? anyTest.skip : anyTest;
const whyBoth = kubectl === undefined ? ' (skipped: no kubectl; `npm run setup:kube` builds it)' : why;

withBoth(`the chart with its defaults is the kustomize base${whyBoth}`, (t) => {
	const base = byId(read(run(t, kubectl ?? '', 'kustomize', 'config')));
	const chart = byId(render(t, '--namespace=kube-system'));
	t.deepEqual([...chart.keys()].sort(), [...base.keys()].sort());
	for (const [id, manifest] of base) t.deepEqual(bare(chart.get(id) ?? manifest), manifest, id);
});

withBoth(`the chart's options are the kustomize components${whyBoth}`, (t) => {
	const chart = byId(
		render(
			t,
			'--namespace=kube-system',
			'--set=serviceMonitor.enabled=true,reflector.enabled=true,rbac.ownPolicyStatus=true',
		),
	);
	for (const file of ['monitoring/monitor.yaml', 'reflector/reflector.yaml', 'rbac/own-policy-status.yaml']) {
		for (const manifest of read(readFileSync(join(config, file), 'utf8'))) {
			const rendered = chart.get(idOf(manifest));
			if (rendered === undefined) return t.fail(`${idOf(manifest)} is missing`);
			if (manifest.kind !== 'ConfigMap') t.deepEqual(bare(rendered), manifest);
			else
				t.deepEqual(
					parse((rendered as unknown as { data: Record<string, string> }).data['bgpmeshd.yaml'] ?? ''),
					parse((manifest as unknown as { data: Record<string, string> }).data['bgpmeshd.yaml'] ?? ''),
				);
		}
	}
	const component = parse(readFileSync(join(config, 'monitoring/kustomization.yaml'), 'utf8')) as {
		patches: { patch: string }[];
	};
	const patched = parse(component.patches[0]?.patch ?? '') as { data: Record<string, string> };
	t.deepEqual(parse(patched.data['bgpmeshd.yaml'] ?? ''), parse(daemonIn([...chart.values()]).text));
});

withHelm(`values reach the container and the configuration, which stays valid${why}`, (t) => {
	const rendered = render(
		t,
		'--namespace=network',
		'--set=image.repository=registry.example/bgpmesh,image.tag=1.2.3,image.pullPolicy=Always',
		'--set=config.bgp.asNumber=4200000000,config.services.proxy=true,rbac.ownPolicyStatus=true',
		'--set=apiServer.host=10.0.0.1',
		'--set=cni.binDir=/usr/libexec/cni,cni.arguments={--families,ipv4}',
		'--set=resources.limits.memory=2Gi',
	);
	const { pod, container, text } = daemonIn(rendered);
	t.is(container['image'], 'registry.example/bgpmesh:1.2.3');
	t.is(container['imagePullPolicy'], 'Always');
	t.deepEqual(container['resources'], { limits: { memory: '2Gi' } });
	t.true((container['env'] as { name: string }[]).some(({ name }) => name === 'KUBERNETES_SERVICE_HOST'));
	const [install] = pod['initContainers'] as { command: string[]; image: string }[];
	t.deepEqual(install?.command.slice(-2), ['--families', 'ipv4']);
	t.is(install?.image, 'registry.example/bgpmesh:1.2.3');
	t.true(JSON.stringify(pod['volumes']).includes('"path":"/usr/libexec/cni"'));
	const parsed = parseConfig(text, 'bgpmeshd.yaml');
	t.like(parsed, { bgp: { asNumber: 4_200_000_000 }, services: { proxy: true }, networkPolicy: { enforce: true } });
	const account = rendered.find(({ kind }) => kind === 'ServiceAccount');
	const role = rendered.find(({ kind }) => kind === 'Role');
	t.is(account?.metadata.namespace, 'network');
	const admission = rendered.find(({ kind }) => kind === 'ValidatingAdmissionPolicy');
	t.true(JSON.stringify(admission).includes("'system:serviceaccount:network:bgpmesh'"));
	t.is(role?.metadata.namespace, 'kube-system', 'the rights are for the Secrets of kube-system');
});

withHelm(`with the eBPF data plane the container may raise the limit of locked memory${why}`, (t) => {
	const added = (...values: string[]) => {
		const { container } = daemonIn(render(t, ...values));
		return (container['securityContext'] as { capabilities: { add: string[] } }).capabilities.add;
	};
	t.false(added().includes('SYS_RESOURCE'));
	t.deepEqual(added('--set=config.dataplane=ebpf').slice(-2), ['SYS_ADMIN', 'SYS_RESOURCE']);
	t.deepEqual(added('--set=capabilities={SYS_RESOURCE}'), added('--set=config.dataplane=ebpf'));
});

withBoth(`the component for eBPF adds what the chart does${whyBoth}`, (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'bgpmesh-kustomize-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	cpSync(config, join(folder, 'config'), { recursive: true });
	mkdirSync(join(folder, 'overlay'));
	writeFileSync(join(folder, 'overlay/kustomization.yaml'), 'resources: [../config]\ncomponents: [../config/ebpf]\n');
	const { container } = daemonIn(read(run(t, kubectl ?? '', 'kustomize', join(folder, 'overlay'))));
	const { capabilities } = container['securityContext'] as { capabilities: { add: string[] } };
	t.is(capabilities.add.at(-1), 'SYS_RESOURCE');
});

withHelm(`the installation of the plugin can be left out${why}`, (t) => {
	const { pod } = daemonIn(render(t, '--set=cni.install=false'));
	t.is(pod['initContainers'], undefined);
	t.deepEqual(
		(pod['volumes'] as { name: string }[]).filter(({ name }) => name.startsWith('cni-')),
		[],
	);
});

withHelm(`the reflector's configuration is valid, with one range for each prefix of clients${why}`, (t) => {
	const rendered = render(t, '--set=reflector.enabled=true,reflector.clients={10.1.0.0/16,10.2.0.0/16}');
	const map = rendered.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'bgpmesh-reflector');
	const { data } = map as unknown as { data: Record<string, string> };
	const parsed = parseConfig(data['bgpmeshd.yaml'] ?? '', 'bgpmeshd.yaml');
	t.deepEqual(parsed.bgp?.peerRanges.map(({ prefix }) => JSON.stringify(prefix)).length, 2);
});

withHelm(`an unknown value is refused${why}`, (t) => {
	const { status, stderr } = spawnSync(helm ?? '', ['template', 'x', 'config', '--set=imagee.tag=x'], {
		encoding: 'utf8',
		cwd: root,
	});
	t.not(status, 0);
	t.regex(stderr, /imagee/);
});

withHelm(`helm lint has no complaint${why}`, (t) => {
	t.regex(run(t, helm ?? '', 'lint', '--strict', 'config'), /0 chart\(s\) failed/);
});

anyTest('the version of the chart is that of the package', (t) => {
	const chart = parse(readFileSync(join(config, 'Chart.yaml'), 'utf8')) as { version: string; appVersion: string };
	const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
	t.deepEqual([chart.version, chart.appVersion], [version, version]);
});
