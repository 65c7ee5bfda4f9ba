/**
 * Runs before `npm pack`: compiles, so that the package contains the current code. `npm pack
 * --ignore-scripts` packs existing compiled code.
 */
import { build } from './lib/build.mjs';
import { installDependencies } from './lib/dependencies.mjs';
import { say } from './lib/say.mjs';

try {
	await installDependencies();
	await build();
} catch (error) {
	say(error.message);
	process.exitCode = 1;
}
