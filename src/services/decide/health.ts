import type { HealthCheck } from '../model.ts';

/** An HTTP answer to a load balancer. */
export interface HealthAnswer {
	readonly status: 200 | 503;
	readonly headers: Readonly<Record<string, string>>;
	/** JSON. */
	readonly body: string;
}

const headersOf = (more: Readonly<Record<string, string>>) => ({
	'Content-Type': 'application/json',
	'X-Content-Type-Options': 'nosniff',
	...more,
});

/**
 * The answer at a `healthCheckNodePort`; load balancers read the status, some also the header as a
 * weight. Form of kube-proxy's.
 */
export function answerHealthCheck({ service, localEndpoints }: HealthCheck, isPlaneHealthy: boolean): HealthAnswer {
	const [namespace = '', name = ''] = service.split('/');
	return {
		status: localEndpoints > 0 && isPlaneHealthy ? 200 : 503,
		headers: headersOf({ 'X-Load-Balancing-Endpoint-Weight': String(localEndpoints) }),
		body: JSON.stringify({ service: { namespace, name }, localEndpoints, serviceProxyHealthy: isPlaneHealthy }),
	};
}

/**
 * State of the plane for `/healthz` and `/livez` at port 10256, where load balancers of policy
 * Cluster look.
 */
export interface PlaneHealth {
	/** The kernel has what was desired, or work on it began not long ago. */
	readonly isHealthy: boolean;
	/**
	 * The Node object is being deleted: new connections should go elsewhere (kubernetes/enhancements
	 * 3836).
	 */
	readonly isNodeLeaving: boolean;
	/** Milliseconds since 1970. */
	readonly lastUpdatedMs: number;
	readonly nowMs: number;
}

/** The answer at `/healthz` (a node that leaves is not healthy) or `/livez` (it is). */
export function answerPlaneHealth(health: PlaneHealth, path: 'healthz' | 'livez'): HealthAnswer {
	const isHealthy = health.isHealthy && (path === 'livez' || !health.isNodeLeaving);
	return {
		status: isHealthy ? 200 : 503,
		headers: headersOf({}),
		body: JSON.stringify({
			lastUpdated: new Date(health.lastUpdatedMs).toISOString(),
			currentTime: new Date(health.nowMs).toISOString(),
			nodeEligible: !health.isNodeLeaving,
		}),
	};
}
