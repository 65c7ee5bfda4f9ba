import { addressFrontendKey, nodePortFrontendKey, type ServicePortKey, type ServicesModel } from '../model.ts';
import type { ServiceConnections } from '../plane/kernel.ts';
import { familyOfAddress } from '../resources/addresses.ts';

/** Connections by `ADDRESS PORT` of the backend. */
export type BackendConnections = ReadonlyMap<string, number>;

/**
 * The connections of each service port. Those of other translations (port mappings of pods, for
 * instance) are left out. Pure.
 */
export function connectionsOf(
	{ frontends }: ServicesModel,
	connections: Iterable<ServiceConnections>,
): ReadonlyMap<ServicePortKey, BackendConnections> {
	const byPort = new Map<ServicePortKey, Map<string, number>>();
	for (const { protocol, destination, destinationPort, backend, backendPort, count } of connections) {
		const frontend =
			frontends.get(addressFrontendKey(destination, protocol, destinationPort)) ??
			frontends.get(nodePortFrontendKey(familyOfAddress(destination), protocol, destinationPort));
		if (frontend === undefined) continue;
		const backends = byPort.get(frontend.servicePort) ?? new Map<string, number>();
		const key = `${backend} ${backendPort}`;
		byPort.set(frontend.servicePort, backends.set(key, (backends.get(key) ?? 0) + count));
	}
	return byPort;
}
