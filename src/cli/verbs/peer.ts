import type { PeerActionView } from '../../control/index.ts';
import { tame } from '../render/screen.ts';
import { defineVerb, type GlobalOptions, UsageError, type VerbDependencies } from '../verb.ts';

const actions = ['enable', 'disable', 'reset', 'refresh'] as const;
interface Options extends GlobalOptions {
	readonly action: (typeof actions)[number];
	readonly peer: string;
	readonly soft: boolean;
	readonly text: string | undefined;
}

const sayings: Readonly<Record<PeerActionView['action'], string>> = {
	enable: 'enabled',
	disable: 'disabled',
	reset: 'reset',
	'soft-reset': 'reset softly: all routes are exchanged again',
	refresh: 'asked for all its routes',
};

export const peer = defineVerb({
	options: (yargs) =>
		yargs
			.positional('action', { choices: actions, demandOption: true, describe: 'what to do' })
			.positional('peer', { type: 'string', demandOption: true, describe: 'name or address' })
			.option('soft', {
				type: 'boolean',
				default: false,
				describe: 'reset: exchange all routes again, leave the session up',
			})
			.option('text', {
				type: 'string',
				requiresArg: true,
				describe: 'disable, reset: sent to the peer and logged there (RFC 9003)',
			}),
	async run(options, { daemon, write }) {
		const { action, peer: name, soft, text, json } = options;
		if (soft && action !== 'reset') throw new UsageError(`--soft is for peer reset, not for peer ${action}`);
		if (text !== undefined && (soft || (action !== 'disable' && action !== 'reset')))
			throw new UsageError('--text is for peer disable and for a hard peer reset');
		// RFC 9003 §2: 255 octets at most.
		if (text !== undefined && Buffer.byteLength(text) > 255)
			throw new UsageError(`--text is ${Buffer.byteLength(text)} bytes long, at most 255 can be sent (RFC 9003)`);
		const answer = await act(daemon, options, name);
		if (json) write(`${JSON.stringify(answer)}\n`);
		else
			write(
				answer.done
					? `${tame(answer.peer)} ${sayings[answer.action]}\n`
					: `${tame(answer.peer)}: not done: ${tame(answer.reason ?? 'no reason given')}\n`,
			);
		return answer.done ? 'done' : 'not-as-asked';
	},
});

function act(
	daemon: VerbDependencies['daemon'],
	{ action, soft, text }: Options,
	name: string,
): Promise<PeerActionView> {
	const optional = text === undefined ? {} : { text };
	switch (action) {
		case 'enable':
			return daemon.ask('peerEnable', { peer: name });
		case 'disable':
			return daemon.ask('peerDisable', { peer: name, ...optional });
		case 'reset':
			return daemon.ask('peerReset', { peer: name, soft, ...optional });
		case 'refresh':
			return daemon.ask('peerRefresh', { peer: name });
		default:
			return action satisfies never;
	}
}
