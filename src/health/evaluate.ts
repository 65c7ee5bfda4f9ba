import type { HealthFacts, PeerFact } from './facts.ts';
import { settingRemedy } from './host-settings.ts';
import type { Finding } from './problems.ts';

/** Subjects of one kind that are listed one by one; the rest is a number. */
const mostListed = 20;
/**
 * From here on a block of the event loop counts. A session of hold time 9 s sends a keepalive each
 * 3 s.
 */
const longBlockSeconds = 1;

/** What is wrong, in the order of the table. Pure. */
export function evaluate(facts: HealthFacts): readonly Finding[] {
	return [
		...routeFindings(facts),
		...leftFindings(facts),
		...planeFindings(facts),
		...settingFindings(facts),
		...mtuFindings(facts),
		...sessionFindings(facts),
		...facts.unreachableNextHops
			.slice(0, mostListed)
			.map(
				(subject): Finding => ({ id: 'next-hop-unreachable', subject, reason: 'no route of the kernel leads there' }),
			),
		...peerFindings(facts).slice(0, mostListed),
		...clusterFindings(facts),
		...serviceFindings(facts),
		...policyFindings(facts),
		...daemonFindings(facts),
	];
}

function routeFindings({ fib }: HealthFacts): Finding[] {
	if (fib === undefined) return [];
	const { failed, failedCount, refusal, staticProblems } = fib;
	const listed = failed
		.slice(0, mostListed)
		.map(({ prefix, reason }): Finding => ({ id: 'route-failed', subject: prefix, reason }));
	const rest = failedCount - listed.length;
	return [
		...(refusal === undefined
			? []
			: [{ id: 'other-programmer', subject: refusal.seen, reason: refusal.reason, remedy: refusal.hint } as const]),
		...listed,
		...(rest > 0 ? [{ id: 'route-failed', subject: 'others', reason: `${rest} more routes` } as const] : []),
		...staticProblems.map((reason): Finding => ({ id: 'peer-route-failed', subject: '', reason })),
	];
}

function leftFindings({ leftRoutes }: HealthFacts): Finding[] {
	return leftRoutes.slice(0, mostListed).map(({ pool, reason, routes }): Finding => {
		const named = routes.slice(0, mostRoutesNamed).map(({ prefix, via }) => `${prefix} of ${via}`);
		const rest = routes.length - named.length;
		return {
			id: 'left-without-route',
			subject: pool,
			reason:
				`the kernel has no route to ${named.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}; this node ` +
				`leaves routes of the pool: ${reason}`,
		};
	});
}

const mostRoutesNamed = 3;

const idOfKind = { device: 'tunnel-device', guard: 'tunnel-guard', masquerade: 'masquerade' } as const;

function planeFindings({ planes }: HealthFacts): Finding[] {
	return planes.flatMap(({ name, failures }) =>
		failures
			.slice(0, mostListed)
			.map(
				({ subject, reason, kind }): Finding =>
					kind === undefined
						? { id: 'plane-failed', subject: `${name}: ${subject}`, reason }
						: { id: idOfKind[kind], subject, reason },
			),
	);
}

function settingFindings({ settings, limits }: HealthFacts): Finding[] {
	return [
		...settings
			.flatMap((check): Finding[] => {
				const { ok, setting, subject, found, wanted } = check;
				if (ok || setting.problem === undefined) return [];
				const reason = `${subject} is ${found ?? 'not there'}, and must be ${wanted}`;
				return [{ id: setting.problem, subject, reason, remedy: settingRemedy(check) }];
			})
			.slice(0, mostListed),
		...limits.flatMap(({ ok, limit, subject, found, most }): Finding[] =>
			ok || limit.problem === undefined
				? []
				: [{ id: limit.problem, subject, reason: `${subject} is ${found}, and must be at most ${most}` }],
		),
	];
}

function mtuFindings({ mtuHoles }: HealthFacts): Finding[] {
	return mtuHoles.slice(0, mostListed).map(
		({ node, nodeAddress, device, mtuBytes, passesBytes }): Finding => ({
			id: 'tunnel-mtu',
			subject: node,
			reason:
				`packets of ${mtuBytes} bytes through ${device} to ${node} (${nodeAddress}) are lost, those ` +
				`of up to ${passesBytes} bytes arrive`,
			remedy:
				`Repair the link between this node and ${nodeAddress} that drops them, or set the MTU of ` +
				`${device} to ${passesBytes} on all nodes (${mtuKeys[device] ?? 'the MTU of the tunnel'}).`,
		}),
	);
}

/** The settings of the MTU of each tunnel device. */
const mtuKeys: Readonly<Record<string, string>> = {
	tunl0: '`ipip.mtuBytes`, or `ipipMTU` of FelixConfiguration',
	'vxlan.calico': '`vxlan.mtuBytes`, or `vxlanMTU` of FelixConfiguration',
	'vxlan-v6.calico': '`vxlan.mtuIpv6Bytes`, or `vxlanMTUV6` of FelixConfiguration',
};

const mostPortsNamed = 4;

function sessionFindings({ peers }: HealthFacts): Finding[] {
	const configured = peers.filter(({ enabled, dynamic }) => enabled && !dynamic);
	const down = configured.filter(({ state }) => state !== 'established');
	return [
		...(configured.length > 0 &&
		down.length === configured.length &&
		!peers.some(({ state }) => state === 'established')
			? [noSession(down)]
			: []),
		...down.slice(0, mostListed).flatMap((peer) => sessionFinding(peer) ?? []),
		...(down.length > mostListed
			? [{ id: 'session-down', subject: 'others', reason: `${down.length - mostListed} more sessions` } as const]
			: []),
	];
}

/** All sessions are down: the remedy names the ports to which this node connects. */
function noSession(down: readonly PeerFact[]): Finding {
	const ports = [...new Set(down.filter(({ passive }) => !passive).map(({ port }) => port))].sort((a, b) => a - b);
	const found = { id: 'no-session', subject: '', reason: `0 of ${down.length} sessions are established` } as const;
	if (ports.length === 0 || ports.length > mostPortsNamed) return found;
	const named = `TCP port${ports.length === 1 ? '' : 's'} ${ports.join(', ')}`;
	return { ...found, remedy: `Check ${named} to the peers, AS numbers and passwords: \`bgpmesh peers\`.` };
}

/**
 * What is wrong with established sessions and with the configuration of peers, by peer; unbounded.
 * Pure.
 */
export function peerFindings({
	withoutNextHop,
	nearLimit,
	withoutKey,
}: Pick<HealthFacts, 'withoutNextHop' | 'nearLimit' | 'withoutKey'>): Finding[] {
	return [
		...withoutNextHop.map(
			({ peer, family }): Finding => ({
				id: 'no-next-hop',
				subject: peer,
				reason:
					`routes of this node are not announced: its interface has no ${family} address that could be ` +
					'their next hop',
			}),
		),
		...nearLimit.map(
			({ peer, family, received, limit, action }): Finding => ({
				id: 'prefix-limit',
				subject: peer,
				reason: `${received} ${family} prefixes of ${limit}; action: ${action}`,
			}),
		),
		...withoutKey.map(
			({ peer, range }): Finding => ({
				id: 'peer-key-missing',
				subject: peer,
				reason: `range ${range} has an MD5 key, the peer has none`,
			}),
		),
	];
}

/** A configured session that is not established; `undefined`: no problem. Pure. */
export const sessionFinding = ({ name, address, state, enabled, dynamic, lastError }: PeerFact): Finding | undefined =>
	!enabled || dynamic || state === 'established'
		? undefined
		: {
				id: 'session-down',
				subject: name,
				reason: `${address} is ${state}${lastError === undefined ? '' : `: ${lastError.message}`}`,
			};

function clusterFindings({ cluster }: HealthFacts): Finding[] {
	if (cluster === undefined) return [];
	const { server, awaySinceMs, refusals, unreadable, unusable, notFollowed, noAddresses } = cluster;
	return [
		...(awaySinceMs === undefined
			? []
			: [{ id: 'api-server-away', subject: server, reason: 'requests fail', sinceMs: awaySinceMs } as const]),
		...refusals.map(
			({ kind, namespace, reason, without }): Finding => ({
				id: 'resources-refused',
				subject: namespace === undefined ? kind : `${kind} in ${namespace}`,
				reason: without === undefined ? reason : `${reason}; without: ${without}`,
			}),
		),
		...unreadable
			.slice(0, mostListed)
			.map(
				({ kind, name, problem }): Finding => ({ id: 'ipam-unreadable', subject: `${kind} ${name}`, reason: problem }),
			),
		...unusable.slice(0, mostListed).map((reason): Finding => ({ id: 'resource-unusable', subject: '', reason })),
		...notFollowed
			.slice(0, mostListed)
			.map(
				({ step, error, sinceMs }): Finding => ({ id: 'cluster-not-followed', subject: step, reason: error, sinceMs }),
			),
		// While the server is away that is the reason.
		...(noAddresses === undefined || awaySinceMs !== undefined
			? []
			: [{ id: 'ipam-unavailable', subject: '', reason: noAddresses } as const]),
	];
}

function serviceFindings({ servicesRefusal }: HealthFacts): Finding[] {
	return servicesRefusal === undefined ? [] : [{ id: 'services-refused', subject: '', ...servicesRefusal }];
}

function policyFindings({ networkPolicy }: HealthFacts): Finding[] {
	if (networkPolicy === undefined) return [];
	const { refusal, fallback, problems } = networkPolicy;
	return [
		...(fallback === undefined ? [] : [{ id: 'dataplane-fallback', subject: 'ebpf', reason: fallback } as const]),
		...(refusal === undefined ? [] : [{ id: 'network-policy-refused', subject: '', reason: refusal } as const]),
		...problems.slice(0, mostListed).map((problem): Finding => ({ id: 'network-policy-problem', ...problem })),
		...(problems.length > mostListed
			? [
					{
						id: 'network-policy-problem',
						subject: 'others',
						reason: `${problems.length - mostListed} more`,
					} as const,
				]
			: []),
	];
}

function daemonFindings(facts: HealthFacts): Finding[] {
	const { recentBlockSeconds, lastReloadError, descriptors, policies, interfacePolicies } = facts;
	return [
		...(recentBlockSeconds < longBlockSeconds
			? []
			: [
					{
						id: 'event-loop-blocked',
						subject: '',
						reason: `the longest block of the last minute was ${recentBlockSeconds.toFixed(1)} s`,
					} as const,
				]),
		...descriptors.map((reason): Finding => ({ id: 'descriptors-short', subject: '', reason })),
		...(lastReloadError === undefined
			? []
			: [
					{
						id: 'config-rejected',
						subject: '',
						reason: lastReloadError.message.replaceAll('\n', '; '),
						sinceMs: Date.parse(lastReloadError.at),
					} as const,
				]),
		...policies.map((reason): Finding => ({ id: 'policy-missing', subject: '', reason })),
		...interfacePolicies.map((reason): Finding => ({ id: 'policy-interface-unknown', subject: '', reason })),
	];
}
