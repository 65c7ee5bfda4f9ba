import { spawnSync } from 'node:child_process';
import anyTest from 'ava';
import { testClientNode } from './client-node.ts';
import { testKubectl } from './kubectl.ts';
import { testManifests } from './manifests.ts';
import { testRaw } from './raw.ts';
import { kubectl, missing, startReal } from './servers.ts';
import type { ServerUnderTest } from './transcript.ts';

let server: ServerUnderTest;

const reason = `${missing.join(' and ')} not found; \`npm run setup:kube\` builds it, etcd is Debian's etcd-server`;
const hasGo = spawnSync('go', ['version'], { stdio: 'ignore' }).status === 0;

if (missing.length > 0 && process.env['CI'] === 'true' && hasGo) {
	anyTest('the contract suite runs against a real kube-apiserver', (t) => t.fail(reason));
} else if (missing.length > 0) {
	anyTest.skip(`the contract suite against a real kube-apiserver: ${reason}`, () => {});
} else {
	anyTest.before(async () => {
		server = await startReal();
	});
	anyTest.after.always(() => server?.stop());
	testRaw(anyTest, () => server, true);
	testManifests(anyTest, () => server);
	testKubectl(anyTest, kubectl, () => server);
	testClientNode(anyTest, () => server);
}
