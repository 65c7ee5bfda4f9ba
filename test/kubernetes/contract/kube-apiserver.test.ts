import anyTest from 'ava';
import { testRaw } from './raw.ts';
import { missing, startReal } from './servers.ts';
import type { ServerUnderTest } from './transcript.ts';

let server: ServerUnderTest;

if (missing.length > 0) {
	anyTest.skip(`the contract suite against a real kube-apiserver: ${missing.join(' and ')} not found; \`npm run setup:kube\` builds it`, () => {});
} else {
	anyTest.before(async () => {
		server = await startReal();
	});
	anyTest.after.always(() => server?.stop());
	testRaw(anyTest, () => server, true);
}
