import test from 'ava';
import { mostNamedPolicies, PolicyLabels } from '../../src/daemon/policy/figures.ts';
import type { PolicyCounter } from '../../src/nftables/index.ts';

const counter = (index: number, packets: number): PolicyCounter => ({
	policy: `network-policy/prod/p${index}`,
	direction: 'ingress',
	action: 'allow',
	packets,
	bytes: 0,
});

test('a bounded number of policies has labels of its own, keeps them, and frees them at its removal', (t) => {
	const labels = new PolicyLabels();
	const many = Array.from({ length: 1000 }, (_, index) => counter(index, 1));
	const first = labels.packets(many);
	t.is(first.length, mostNamedPolicies + 1);
	t.deepEqual(first.at(-1), { policy: '(other)', action: 'allow', packets: 1000 - mostNamedPolicies });
	// A policy that gets many packets later does not take the label of another.
	const later = labels.packets(many.map((one, index) => (index === 999 ? { ...one, packets: 10_000 } : one)));
	t.false(later.some(({ policy }) => policy.endsWith('p999')));
	t.true(labels.packets(many.slice(500)).some(({ policy }) => policy.endsWith('p999') || policy.endsWith('p500')));
});

test('a policy without packets takes no label, and both directions are one sum', (t) => {
	const labels = new PolicyLabels();
	t.deepEqual(labels.packets([counter(0, 0), counter(1, 2), { ...counter(1, 3), direction: 'egress' }]), [
		{ policy: '(other)', action: 'allow', packets: 0 },
		{ policy: 'NetworkPolicy (Calico) prod/p1', action: 'allow', packets: 5 },
	]);
});
