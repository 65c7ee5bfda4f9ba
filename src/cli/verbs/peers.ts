import { renderPeer, renderPeers } from '../render/peers.ts';
import { defineVerb } from '../verb.ts';

export const peers = defineVerb({
	options: (yargs) => yargs.positional('peer', { type: 'string', describe: 'name or address' }),
	async run({ json, peer }, { daemon, screen, write }) {
		if (peer === undefined) {
			const answer = await daemon.ask('peers', {});
			write(json ? `${JSON.stringify(answer)}\n` : renderPeers(screen, answer.peers));
		} else {
			const answer = await daemon.ask('peer', { peer });
			write(json ? `${JSON.stringify(answer)}\n` : renderPeer(screen, answer));
		}
		return 'done';
	},
});
