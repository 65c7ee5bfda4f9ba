import { showListing } from '../listing.ts';
import { renderService, servicesScreen } from '../render/services.ts';
import { defineVerb, type GlobalOptions, type Outcome, type VerbDependencies } from '../verb.ts';

interface Options extends GlobalOptions {
	readonly name: string | undefined;
	readonly dryRun: boolean;
	readonly force: boolean;
}

export const services = defineVerb({
	options: (yargs) =>
		yargs
			.positional('name', { type: 'string', describe: 'NAME, NAMESPACE/NAME or an address; or takeover' })
			.option('dry-run', { type: 'boolean', default: false, describe: 'takeover: only show what would be removed' })
			.option('force', { type: 'boolean', default: false, describe: 'takeover: although the other proxy still runs' }),
	run: (options, dependencies) =>
		options.name === 'takeover' ? takeover(options, dependencies) : show(options, dependencies),
});

async function show({ name, json }: Options, dependencies: VerbDependencies): Promise<Outcome> {
	const { daemon, screen, write } = dependencies;
	if (name === undefined) {
		await showListing('services', {}, servicesScreen(screen), { json }, dependencies);
		return 'done';
	}
	const answer = await daemon.ask('services', { name });
	const text = answer.services.map((service) => renderService(screen, service)).join('\n');
	write(json ? `${JSON.stringify(answer)}\n` : text || `No Service is named ${name} or has that address.\n`);
	return answer.services.length === 0 ? 'not-as-asked' : 'done';
}

async function takeover({ dryRun, force, json }: Options, { daemon, write }: VerbDependencies): Promise<Outcome> {
	const answer = await daemon.ask('servicesTakeover', { dryRun, force });
	if (json) write(`${JSON.stringify(answer)}\n`);
	else {
		const verb = dryRun ? 'Would be removed' : 'Removed';
		const lines = answer.removed.map((what) => `${verb}: ${what}\n`).join('');
		write(`${lines}${answer.programmed ? 'This node programs Services.\n' : 'Nothing is changed.\n'}`);
	}
	return 'done';
}
