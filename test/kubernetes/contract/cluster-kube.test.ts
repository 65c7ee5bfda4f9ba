import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest from 'ava';
import { testCluster } from './cluster.ts';
import { testCommands } from './commands.ts';
import { testDuties } from './duties.ts';
import { testGarbage } from './garbage.ts';
import { testRights, tokenOfNode } from './rights.ts';
import { missing, startReal } from './servers.ts';
import type { ServerUnderTest } from './transcript.ts';

let server: ServerUnderTest;

if (missing.length > 0) {
	anyTest.skip(
		`our client, allocator and daemon on a real kube-apiserver: ${missing.join(' and ')} not found; \`npm run setup:kube\` builds it`,
		() => {},
	);
} else {
	anyTest.before(async () => {
		const real = await startReal();
		server = real;
		server = { ...real, nodeToken: await tokenOfNode(real, mkdtempSync(join(tmpdir(), 'bgpmesh-cluster-'))) };
	});
	anyTest.after.always(() => server?.stop());
	testCluster(anyTest, () => server, mkdtempSync(join(tmpdir(), 'bgpmesh-cluster-')));
	testCommands(anyTest, () => server, mkdtempSync(join(tmpdir(), 'bgpmesh-cluster-')));
	testGarbage(anyTest, () => server, mkdtempSync(join(tmpdir(), 'bgpmesh-cluster-')));
	testRights(anyTest, () => server, mkdtempSync(join(tmpdir(), 'bgpmesh-cluster-')));
	testDuties(anyTest, () => server, mkdtempSync(join(tmpdir(), 'bgpmesh-cluster-')));
}
