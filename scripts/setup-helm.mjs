/**
 * npm run setup:helm: builds Helm, with which the tests render the chart in config, once, into
 * ~/.cache/bgpmesh/helm/VERSION. Takes about two minutes the first time; needs Go 1.24 or newer.
 */
import { buildGoCommands } from './lib/go-commands.mjs';

const helm = 'helm.sh/helm/v3';

buildGoCommands({
	name: 'helm',
	module: 'test/helm',
	requires: helm,
	commands: { helm: `${helm}/cmd/helm` },
	minutes: 'two',
	without: 'the tests of the chart are skipped',
});
