import anyTest from 'ava';
import { testClientNode } from './client-node.ts';
import { testKubectl } from './kubectl.ts';
import { testManifests } from './manifests.ts';
import { testRaw } from './raw.ts';
import { kubectl, startEmbedded } from './servers.ts';
import type { ServerUnderTest } from './transcript.ts';

let server: ServerUnderTest;

anyTest.before(async () => {
	server = await startEmbedded();
});
anyTest.after.always(() => server?.stop());

testRaw(anyTest, () => server, false);
testManifests(anyTest, () => server);
testKubectl(anyTest, kubectl, () => server);
testClientNode(anyTest, () => server);
