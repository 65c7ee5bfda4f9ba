/**
 * npm run setup:kube: builds the real kube-apiserver and kubectl that the contract suite compares with, once, into
 * ~/.cache/bgpmesh/kube/VERSION. Takes about six minutes the first time; needs Go 1.24 or newer. etcd comes from the system (Debian: etcd-server).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const module = resolve(fileURLToPath(import.meta.url), '../../test/kube-apiserver');
const version = /k8s\.io\/kubernetes (v\S+)/.exec(readFileSync(join(module, 'go.mod'), 'utf8'))?.[1];
const folder = join(homedir(), '.cache/bgpmesh/kube', version);
const commands = ['kube-apiserver', 'kubectl'];

if (commands.every((command) => existsSync(join(folder, command)))) {
	console.log(`kube-apiserver and kubectl ${version} are in ${folder}`);
	process.exit(0);
}
if (spawnSync('go', ['version'], { stdio: 'ignore' }).status !== 0) {
	console.error('setup:kube needs Go 1.24 or newer; without it the contract suite against a real kube-apiserver is skipped');
	process.exit(1);
}
console.log(`building kube-apiserver and kubectl ${version} into ${folder}: about six minutes`);
const build = `${folder}.build-${process.pid}`;
mkdirSync(build, { recursive: true });
const [, minor] = version.slice(1).split('.');
const stamp = { gitVersion: version, gitMajor: '1', gitMinor: minor };
const flags = Object.entries(stamp).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
const packages = commands.map((command) => `k8s.io/kubernetes/cmd/${command}`);
const result = spawnSync('go', ['build', '-buildvcs=false', '-trimpath', '-ldflags', `-s -w ${flags.join(' ')}`, '-o', `${build}/`, ...packages], {
	cwd: module,
	stdio: 'inherit',
	env: { ...process.env, CGO_ENABLED: '0' },
});
if (result.status !== 0) {
	rmSync(build, { recursive: true, force: true });
	process.exit(1);
}
mkdirSync(folder, { recursive: true });
for (const command of commands) renameSync(join(build, command), join(folder, command));
rmSync(build, { recursive: true, force: true });
