import { arrayAt, textAt } from '../../json/index.ts';
import type { ApiClient } from '../client/api-client.ts';
import { ApiError } from '../client/errors.ts';
import type { ApiLayout } from '../model/resource.ts';

/** The cluster has neither of Calico's layouts. */
export class NoCalicoResourcesError extends Error {
	override readonly name = 'NoCalicoResourcesError';

	constructor(server: string) {
		super(
			`the cluster at ${server} has no IPPool resources, neither crd.projectcalico.org/v1 nor ` +
				"projectcalico.org/v3: apply the manifests in config/crds, or install Calico's",
		);
	}
}

/**
 * Detects a cluster's layout, as Calico does: by the existing resources. `projectcalico.org/v3`
 * counts only if it consists of CRDs: served by Calico's aggregated API server, it is a view of v1
 * without the IPAM kinds. @throws NoCalicoResourcesError
 */
export async function detectLayout(client: ApiClient): Promise<ApiLayout> {
	const plurals = async (layout: ApiLayout): Promise<readonly (string | undefined)[]> => {
		try {
			return arrayAt(await client.raw(`/apis/${layout}`), 'resources').map((resource) => textAt(resource, 'name'));
		} catch (error) {
			if (error instanceof ApiError && error.code === 404) return [];
			throw error;
		}
	};
	if ((await plurals('crd.projectcalico.org/v1')).includes('ippools')) return 'crd.projectcalico.org/v1';
	const native = await plurals('projectcalico.org/v3');
	if (native.includes('ippools') && native.includes('ipamblocks')) return 'projectcalico.org/v3';
	throw new NoCalicoResourcesError(client.server);
}
