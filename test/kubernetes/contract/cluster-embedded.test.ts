import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest from 'ava';
import { testCluster } from './cluster.ts';
import { testCommands } from './commands.ts';
import { testDuties } from './duties.ts';
import { testGarbage } from './garbage.ts';
import { startEmbedded } from './servers.ts';
import type { ServerUnderTest } from './transcript.ts';

let server: ServerUnderTest;

anyTest.before(async () => {
	server = await startEmbedded();
});
anyTest.after.always(() => server?.stop());
testCluster(anyTest, () => server, mkdtempSync(join(tmpdir(), 'bgpmesh-cluster-')));
testCommands(anyTest, () => server, mkdtempSync(join(tmpdir(), 'bgpmesh-cluster-')));
testGarbage(anyTest, () => server, mkdtempSync(join(tmpdir(), 'bgpmesh-cluster-')));
testDuties(anyTest, () => server, mkdtempSync(join(tmpdir(), 'bgpmesh-cluster-')));
