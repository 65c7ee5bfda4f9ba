import test from 'ava';
import * as fc from 'fast-check';
import { LabelIndex, type LabelledItem } from '../../src/policy/calculation/label-index.ts';
import { evaluate, parseSelector } from '../../src/selector/index.ts';

/** Also labels that a user must not set, and those that look inherited. */
const own = fc.dictionary(
	fc.constantFrom('app', 'pcns.team', 'pcsa.trust', 'projectcalico.org/namespace', 'projectcalico.org/orchestrator'),
	fc.constantFrom('a', 'b', 'n1', 'k8s'),
	{ maxKeys: 2 },
);
const ofParent = fc.dictionary(fc.constantFrom('team', 'trust', 'projectcalico.org/name'), fc.constantFrom('a', 'b'));
const item: fc.Arbitrary<LabelledItem> = fc
	.record({
		labels: own,
		namespace: fc.constantFrom('n0', 'n1', undefined),
		serviceAccount: fc.constantFrom('default', undefined),
		orchestrated: fc.boolean(),
	})
	.map(({ labels, namespace, serviceAccount, orchestrated }) => ({
		key: '',
		labels,
		...(namespace === undefined ? {} : { namespace, ...(serviceAccount === undefined ? {} : { serviceAccount }) }),
		...(orchestrated ? { orchestrated: true as const } : {}),
	}));
const parent = fc.record({
	namespace: fc.constantFrom('n0', 'n1'),
	account: fc.constantFrom('default', undefined),
	labels: ofParent,
});
const text = fc.constantFrom(
	"app == 'a'",
	"pcns.team == 'a'",
	"pcns.team in {'a','b'} && app == 'a'",
	"pcns.projectcalico.org/name == 'n1'",
	"projectcalico.org/namespace == 'n1'",
	"projectcalico.org/orchestrator == 'k8s' && has(app)",
	"pcsa.trust == 'b' || has(pcsa.projectcalico.org/name)",
	"pcsa.projectcalico.org/name == 'default'",
	"projectcalico.org/serviceaccount == 'default'",
	"!has(pcns.team) && pcns.trust != 'a'",
	'!has(projectcalico.org/namespace)',
);

test('a selector has the items whose own and inherited labels it matches, whichever came first', (t) => {
	let matched = 0;
	fc.assert(
		fc.property(
			fc.array(item, { minLength: 5, maxLength: 20 }),
			fc.array(parent, { maxLength: 6 }),
			fc.array(text, { minLength: 1, maxLength: 6 }),
			fc.nat(20),
			(items, parents, texts, early) => {
				const members = new Map<string, Set<string>>();
				const index = new LabelIndex<LabelledItem>({
					joined: (id, { key }) => void members.set(id, (members.get(id) ?? new Set()).add(key)),
					left: (id, { key }) => void members.get(id)?.delete(key),
					replaced: () => {},
				});
				const steps = [
					...items.map((one, at) => () => index.put({ ...one, key: String(at) })),
					...parents.map(
						({ namespace, account, labels }) =>
							() =>
								index.setParent(namespace, account, labels),
					),
				];
				const subscribe = (all: readonly string[]) => {
					for (const one of new Set(all))
						if (!members.has(one)) {
							members.set(one, new Set());
							index.subscribe(one, parseSelector(one));
						}
				};
				for (const step of steps.slice(0, early)) step();
				subscribe(texts.slice(0, texts.length / 2));
				for (const step of steps.slice(early)) step();
				subscribe(texts);
				for (const one of new Set(texts)) {
					const selector = parseSelector(one);
					const expected = items.flatMap((each, at) =>
						evaluate(selector, index.effectiveLabels(each)) ? [String(at)] : [],
					);
					matched += expected.length;
					t.deepEqual([...(members.get(one) ?? [])].sort(), expected.sort(), one);
					t.deepEqual([...index.matching(selector)].map(({ key }) => key).sort(), expected, one);
				}
			},
		),
		{ numRuns: 300 },
	);
	t.true(matched > 300, String(matched));
});
