import { ControlError, type ServiceView } from '../../control/index.ts';
import { type ExplanationView, hostPrefix } from '../../core/index.ts';
import { renderExplanation } from '../render/routes.ts';
import { renderService } from '../render/services.ts';
import { defineVerb, type VerbDependencies } from '../verb.ts';

export const explain = defineVerb({
	options: (yargs) => yargs.positional('target', { type: 'string', demandOption: true, describe: 'prefix or address' }),
	async run({ json, target }, { daemon, screen, write }) {
		// A service address is translated on this node, whether or not a route leads to it.
		const services = await servicesAt(daemon, target);
		const answer = await routesTo(daemon, target, services.length > 0);
		if (json) write(`${JSON.stringify({ ...answer, ...(services.length === 0 ? {} : { services }) })}\n`);
		else {
			const parts = [
				...(services.length > 0 && answer.paths.length === 0 ? [] : [renderExplanation(screen, answer)]),
				...services.map((service) => renderService(screen, service)),
			];
			write(parts.join('\n'));
		}
		return answer.paths.length + services.length === 0 ? 'not-as-asked' : 'done';
	},
});

/**
 * Services that have the address, or the address of a /32 or /128; none where the daemon follows no
 * cluster.
 */
async function servicesAt(daemon: VerbDependencies['daemon'], target: string): Promise<readonly ServiceView[]> {
	const name = target.replace(/\/(32|128)$/, '');
	if (!/^[0-9a-f.:]+$/i.test(name)) return [];
	try {
		return (await daemon.ask('services', { name })).services;
	} catch (error) {
		if (error instanceof ControlError && (error.code === 'no-cluster' || error.code === 'no-such-endpoint')) return [];
		throw error;
	}
}

/** The paths; of a service address there may be none. */
async function routesTo(
	daemon: VerbDependencies['daemon'],
	target: string,
	isService: boolean,
): Promise<ExplanationView> {
	try {
		return await daemon.ask('explanation', { target });
	} catch (error) {
		if (isService && error instanceof ControlError && error.code === 'no-route')
			return { prefix: hostPrefix(target), paths: [] };
		throw error;
	}
}
