import test from 'ava';
import { FakeRouteKernel } from '../fakes/route-kernel.ts';
import { ourProtocol, testKernelContract, unicast } from './kernel-contract.ts';

testKernelContract(test, () => {
	const kernel = new FakeRouteKernel(ourProtocol);
	kernel.setInterface('left', ['10.7.0.1/24', 'fd07::1/64']);
	kernel.setInterface('right', ['10.8.0.1/24']);
	const deviceTo = (via: string) => (via.startsWith('10.7.') ? 'left' : 'right');
	return {
		kernel,
		addForeign: (prefix, via, metric) => kernel.addByOthers(unicast(prefix, via, deviceTo(via), { metric }), 4),
		prependForeign: (prefix, via, metric) => kernel.prependByOthers(unicast(prefix, via, deviceTo(via), { metric }), 4),
		addOurs: (prefix, via, metric) => kernel.addByOthers(unicast(prefix, via, 'left', { metric }), ourProtocol),
		remove: (prefix) => kernel.removeByOthers(prefix),
		setDown: (device) => kernel.setUp(device, false),
	};
});
