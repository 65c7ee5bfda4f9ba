import {
	type Address,
	AddressError,
	type PrefixKey,
	parseAddress,
	parsePrefix,
	prefixContains,
} from '../../core/index.ts';
import { arrayAt, isObject, textAt } from '../../json/index.ts';
import type { BgpConfiguration } from '../model/bgp.ts';
import type { Resource } from '../model/resource.ts';
import type { LintFinding } from './types.ts';

/**
 * Service addresses for BGP that no list of BGPConfiguration covers: their traffic does not arrive.
 */
export function serviceRules(services: readonly Resource[], configuration: BgpConfiguration): LintFinding[] {
	const { serviceClusterCidrs, serviceExternalCidrs, serviceLoadBalancerCidrs } = configuration;
	// A cluster that announces no service addresses uses other means.
	if (serviceClusterCidrs.length + serviceExternalCidrs.length + serviceLoadBalancerCidrs.length === 0) return [];
	return services.flatMap((service) => {
		const subject = `Service ${service.namespace ?? 'default'}/${service.name}`;
		const external = arrayAt(service.raw, 'spec', 'externalIPs').filter((text) => typeof text === 'string');
		const isBalanced = textAt(service.raw, 'spec', 'type') === 'LoadBalancer';
		const balanced = arrayAt(service.raw, 'status', 'loadBalancer', 'ingress')
			.filter(isObject)
			// Packets of ipMode Proxy go to the load balancer, which announces the address itself.
			.filter((entry) => isBalanced && textAt(entry, 'ipMode') !== 'Proxy')
			.flatMap((entry) => textAt(entry, 'ip') ?? []);
		return [
			...uncovered(subject, external, serviceExternalCidrs, 'external IP', 'serviceExternalIPs'),
			...uncovered(subject, balanced, serviceLoadBalancerCidrs, 'load balancer address', 'serviceLoadBalancerIPs'),
		];
	});
}

function uncovered(
	subject: string,
	addresses: readonly string[],
	cidrs: readonly PrefixKey[],
	what: string,
	list: string,
): LintFinding[] {
	const prefixes = cidrs.map((cidr) => parsePrefix(cidr));
	return addresses.flatMap((text): LintFinding[] => {
		const address = addressOf(text);
		if (address !== undefined && prefixes.some((prefix) => prefixContains(prefix, address))) return [];
		return [
			{
				severity: 'warning',
				rule: 'service-address-uncovered',
				subject,
				problem:
					address === undefined
						? `${what} '${text}' is no address`
						: `${what} ${text} lies in no range of ${list}: BGP does not announce it`,
				hint:
					address === undefined
						? 'correct it'
						: `add a range to ${list} of BGPConfiguration default, or give the Service another address`,
			},
		];
	});
}

function addressOf(text: string): Address | undefined {
	try {
		return parseAddress(text);
	} catch (error) {
		if (error instanceof AddressError) return undefined;
		throw error;
	}
}
