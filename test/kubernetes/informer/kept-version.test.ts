import test from 'ava';
import { ResourceCopy } from '../../../src/kubernetes/informer/copy.ts';

test('a copy of versions alone has names, UIDs and versions as they were', (t) => {
	const uids = [
		'0a1b2c3d-0000-4000-8000-00000000ffff',
		'sixteen-letters-',
		'a',
		'0A1B2C3D-0000-4000-8000-00000000FFFF',
	];
	const versions = ['7', '0012', '9007199254740993', '1000000'];
	const copy = new ResourceCopy({ keep: 'versions' });
	for (const [index, uid] of uids.entries())
		copy.apply(
			'ADDED',
			copy.toResource({ metadata: { namespace: 'n', name: `p${index}`, uid, resourceVersion: versions[index] ?? '' } }),
		);
	const kept = [...copy.items.values()];
	t.deepEqual(
		kept.map(({ name }) => name),
		['p0', 'p1', 'p2', 'p3'],
	);
	t.deepEqual(
		kept.map(({ uid }) => uid),
		uids,
	);
	t.deepEqual(
		kept.map(({ resourceVersion }) => resourceVersion),
		versions,
	);
});
