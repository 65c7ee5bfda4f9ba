import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder with a key file, while `body` runs. */
export async function withKey(key: string, body: (passwordFile: string) => Promise<void>): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), 'bgpmesh-key-'));
	try {
		const file = join(folder, 'key');
		await writeFile(file, `${key}\n`, { mode: 0o600 });
		await body(file);
	} finally {
		await rm(folder, { recursive: true, force: true });
	}
}
