import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest from 'ava';
import { testDefinitions } from './definitions.ts';
import { missing, startReal } from './servers.ts';
import type { ServerUnderTest } from './transcript.ts';

let server: ServerUnderTest;

if (missing.length > 0) {
	anyTest.skip(
		`our definitions on a real kube-apiserver: ${missing.join(' and ')} not found; \`npm run setup:kube\` builds it`,
		() => {},
	);
} else {
	anyTest.before(async () => {
		server = await startReal();
	});
	anyTest.after.always(() => server?.stop());
	testDefinitions(anyTest, () => server, mkdtempSync(join(tmpdir(), 'bgpmesh-definitions-')));
}
