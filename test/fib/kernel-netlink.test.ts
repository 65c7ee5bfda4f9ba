import test from 'ava';
import { silentLogger } from '../../src/core/index.ts';
import { openNetlinkKernel } from '../../src/fib/index.ts';
import { addInterface, enterNewNamespace, ip, noNamespaces } from '../support/namespace.ts';
import { ourProtocol, testKernelContract } from './kernel-contract.ts';

if (noNamespaces !== undefined) {
	console.warn(`SKIPPED: the kernel's own routing table: ${noNamespaces}`);
	test.skip('the real kernel keeps the contract', () => {});
} else {
	testKernelContract(test, () => {
		enterNewNamespace();
		addInterface('left', ['10.7.0.1/24', 'fd07::1/64']);
		addInterface('right', ['10.8.0.1/24']);
		return {
			kernel: openNetlinkKernel({ routeProtocol: ourProtocol }, silentLogger),
			addForeign: (prefix, via, metric) => void ip(`route add ${prefix} via ${via} metric ${metric} proto static`),
			prependForeign: (prefix, via, metric) => void ip(`route prepend ${prefix} via ${via} metric ${metric} proto static`),
			addOurs: (prefix, via, metric) => void ip(`route add ${prefix} via ${via} metric ${metric} proto ${ourProtocol}`),
			remove: (prefix) => void ip(`route del ${prefix}`),
			setDown: (device) => void ip(`link set ${device} down`),
		};
	});
}
