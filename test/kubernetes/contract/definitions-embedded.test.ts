import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest from 'ava';
import { testDefinitions } from './definitions.ts';
import { startEmbedded } from './servers.ts';
import type { ServerUnderTest } from './transcript.ts';

let server: ServerUnderTest;

anyTest.before(async () => {
	server = await startEmbedded();
});
anyTest.after.always(() => server?.stop());
testDefinitions(anyTest, () => server, mkdtempSync(join(tmpdir(), 'bgpmesh-definitions-')));
