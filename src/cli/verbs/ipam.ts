import { renderAddress, renderBlocks, renderCheck, renderGarbage, renderPools } from '../render/ipam.ts';
import { defineVerb, type GlobalOptions, type Outcome, type Surroundings, UsageError } from '../verb.ts';

const actions = ['show', 'check', 'release', 'gc'] as const;
interface Options extends GlobalOptions {
	readonly action: (typeof actions)[number];
	readonly showBlocks: boolean;
	readonly ip: string | undefined;
	readonly node: string | undefined;
	readonly handle: string | undefined;
	readonly fix: boolean;
	readonly dryRun: boolean;
}

export const ipam = defineVerb({
	options: (yargs) =>
		yargs
			.positional('action', { choices: actions, demandOption: true, describe: 'what to do' })
			.option('show-blocks', { type: 'boolean', default: false, describe: 'show: every block and whose it is' })
			.option('ip', { type: 'string', requiresArg: true, describe: 'show, release: one address' })
			.option('node', { type: 'string', requiresArg: true, describe: 'show: the blocks of one node' })
			.option('handle', { type: 'string', requiresArg: true, describe: 'release: all addresses of a handle' })
			.option('fix', { type: 'boolean', default: false, describe: 'check: mend what may be mended' })
			.option('dry-run', { type: 'boolean', default: false, describe: 'gc: only show what looks abandoned, and since when' }),
	run: (options, surroundings) => {
		switch (options.action) {
			case 'show':
				return show(options, surroundings);
			case 'check':
				return check(options, surroundings);
			case 'release':
				return release(options, surroundings);
			case 'gc':
				return collect(options, surroundings);
			default:
				return options.action satisfies never;
		}
	},
});

async function show({ json, ip, node, showBlocks }: Options, { daemon, screen, write }: Surroundings): Promise<Outcome> {
	if (ip !== undefined) {
		const answer = await daemon.ask('ipamAddress', { address: ip });
		write(json ? `${JSON.stringify(answer)}\n` : renderAddress(screen, answer));
		return answer.state === 'used' ? 'done' : 'not-as-asked';
	}
	if (showBlocks || node !== undefined) {
		const answer = await daemon.ask('ipamBlocks', node === undefined ? {} : { node });
		write(json ? `${JSON.stringify(answer)}\n` : renderBlocks(screen, answer));
		return 'done';
	}
	const answer = await daemon.ask('pools', {});
	write(json ? `${JSON.stringify(answer)}\n` : renderPools(screen, answer));
	return 'done';
}

async function check({ json, fix }: Options, { daemon, screen, write }: Surroundings): Promise<Outcome> {
	const answer = await daemon.ask(fix ? 'ipamFix' : 'ipamCheck', {});
	write(json ? `${JSON.stringify(answer)}\n` : renderCheck(screen, answer));
	return answer.problems.every(({ fixed }) => fixed === true) ? 'done' : 'not-as-asked';
}

async function collect({ json, dryRun }: Options, { daemon, screen, write }: Surroundings): Promise<Outcome> {
	const answer = await daemon.ask(dryRun ? 'ipamGarbage' : 'ipamCollect', {});
	write(json ? `${JSON.stringify(answer)}\n` : renderGarbage(screen, answer));
	return 'done';
}

async function release({ json, ip, handle }: Options, { daemon, write }: Surroundings): Promise<Outcome> {
	if ((ip === undefined) === (handle === undefined)) throw new UsageError('release what? --ip ADDRESS or --handle HANDLE');
	const answer = await daemon.ask('ipamRelease', { ...(ip === undefined ? {} : { address: ip }), ...(handle === undefined ? {} : { handle }) });
	if (json) write(`${JSON.stringify(answer)}\n`);
	else write(answer.addresses.length === 0 ? 'Nothing was held.\n' : `Released ${answer.addresses.join(', ')}\n`);
	return answer.addresses.length === 0 ? 'not-as-asked' : 'done';
}
