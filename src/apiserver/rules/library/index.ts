import { Environment } from '@marcbachmann/cel-js';
import { registerFormats } from './formats.ts';
import { registerLists } from './lists.ts';
import { registerNetworks } from './networks.ts';
import { registerQuantities } from './quantities.ts';
import { registerStrings } from './strings.ts';

/** The functions available to every rule of a CustomResourceDefinition (Kubernetes 1.34). */
export function createEnvironment(): Environment {
	const environment = new Environment({
		enableOptionalTypes: true,
		unlistedVariablesAreDyn: false,
		homogeneousAggregateLiterals: false,
	});
	registerStrings(environment);
	registerLists(environment);
	registerNetworks(environment);
	registerQuantities(environment);
	registerFormats(environment);
	return environment;
}
