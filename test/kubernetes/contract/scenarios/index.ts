import type { Step } from '../transcript.ts';
import { access } from './access.ts';
import { apply } from './apply.ts';
import { builtIn } from './built-in.ts';
import { customResources } from './custom-resources.ts';
import { deletion } from './deletion.ts';
import { lists } from './lists.ts';
import { options } from './options.ts';
import { patches } from './patches.ts';
import { questions } from './questions.ts';
import { rightsObjects } from './rights.ts';
import { rules } from './rules.ts';
import { scaling } from './scale.ts';
import { surroundings } from './surroundings.ts';
import { validation } from './validation.ts';
import { watches } from './watches.ts';
import { workloads } from './workloads.ts';

/** The requests to both servers, by the tested behaviour. */
export const scenarios: Readonly<Record<string, readonly Step[]>> = {
	access,
	'built-in kinds': builtIn,
	'custom resources': customResources,
	validation,
	rules,
	lists,
	watches,
	patches,
	'server-side apply': apply,
	deletion,
	options,
	questions,
	scale: scaling,
	surroundings,
	'roles and bindings': rightsObjects,
	workloads,
};
