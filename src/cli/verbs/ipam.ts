import { showListing } from '../listing.ts';
import { blocksScreen, renderAddress, renderCheck, renderGarbage, renderPools } from '../render/ipam.ts';
import { defineVerb, type GlobalOptions, type Outcome, UsageError, type VerbDependencies } from '../verb.ts';

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
			.option('dry-run', {
				type: 'boolean',
				default: false,
				describe: 'gc: only show what looks abandoned, and since when',
			}),
	run: (options, dependencies) => {
		switch (options.action) {
			case 'show':
				return show(options, dependencies);
			case 'check':
				return check(options, dependencies);
			case 'release':
				return release(options, dependencies);
			case 'gc':
				return collect(options, dependencies);
			default:
				return options.action satisfies never;
		}
	},
});

async function show({ json, ip, node, showBlocks }: Options, dependencies: VerbDependencies): Promise<Outcome> {
	const { daemon, screen, write } = dependencies;
	if (ip !== undefined) {
		const answer = await daemon.ask('ipamAddress', { address: ip });
		write(json ? `${JSON.stringify(answer)}\n` : renderAddress(screen, answer));
		return answer.state === 'used' ? 'done' : 'not-as-asked';
	}
	if (showBlocks || node !== undefined) {
		const query = node === undefined ? {} : { node };
		await showListing('ipamBlocks', query, blocksScreen(screen), { json }, dependencies);
		return 'done';
	}
	const answer = await daemon.ask('pools', {});
	write(json ? `${JSON.stringify(answer)}\n` : renderPools(screen, answer));
	return 'done';
}

async function check({ json, fix }: Options, { daemon, screen, write }: VerbDependencies): Promise<Outcome> {
	const answer = await daemon.ask(fix ? 'ipamFix' : 'ipamCheck', {});
	write(json ? `${JSON.stringify(answer)}\n` : renderCheck(screen, answer));
	return answer.problems.every(({ fixed }) => fixed === true) ? 'done' : 'not-as-asked';
}

async function collect({ json, dryRun }: Options, { daemon, screen, write }: VerbDependencies): Promise<Outcome> {
	const answer = await daemon.ask(dryRun ? 'ipamGarbage' : 'ipamCollect', {});
	write(json ? `${JSON.stringify(answer)}\n` : renderGarbage(screen, answer));
	return 'done';
}

async function release({ json, ip, handle }: Options, { daemon, write }: VerbDependencies): Promise<Outcome> {
	if ((ip === undefined) === (handle === undefined))
		throw new UsageError('release what? --ip ADDRESS or --handle HANDLE');
	const answer = await daemon.ask('ipamRelease', {
		...(ip === undefined ? {} : { address: ip }),
		...(handle === undefined ? {} : { handle }),
	});
	if (json) write(`${JSON.stringify(answer)}\n`);
	else write(answer.addresses.length === 0 ? 'Nothing was held.\n' : `Released ${answer.addresses.join(', ')}\n`);
	return answer.addresses.length === 0 ? 'not-as-asked' : 'done';
}
