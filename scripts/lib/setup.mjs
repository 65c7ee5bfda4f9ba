import { build } from './build.mjs';
import { installPackages } from './debian.mjs';
import { installDependencies } from './dependencies.mjs';
import { red, say } from './say.mjs';

const oldestNode = [20, 19];

/**
 * Sets up all parts that a fresh clone lacks: Debian packages, npm packages, compiled code. Exits
 * the process on failure.
 */
export async function setUp() {
	const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
	try {
		if (major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])) {
			throw new Error(`Node.js ${oldestNode.join('.')} or newer is needed; this is ${process.version}`);
		}
		await installPackages();
		await installDependencies();
		await build();
	} catch (error) {
		say(`${red('set-up failed')}: ${error.message}`);
		process.exit(1);
	}
}
