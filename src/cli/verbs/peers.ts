import { showListing } from '../listing.ts';
import { peersScreen, renderPeer } from '../render/peers.ts';
import { defineVerb } from '../verb.ts';

export const peers = defineVerb({
	options: (yargs) => yargs.positional('peer', { type: 'string', describe: 'name or address' }),
	async run({ json, peer }, dependencies) {
		const { daemon, screen, write } = dependencies;
		if (peer === undefined) await showListing('peers', {}, peersScreen(screen), { json }, dependencies);
		else {
			const answer = await daemon.ask('peer', { peer });
			write(json ? `${JSON.stringify(answer)}\n` : renderPeer(screen, answer));
		}
		return 'done';
	},
});
