import test from 'ava';
import { playScenario } from './support/scenario.ts';

/** Scenarios played; `BGPMESH_FUZZ_SCENARIOS` asks for more, `BGPMESH_FUZZ_SEED` for those from another seed on. */
const count = Number(process.env['BGPMESH_FUZZ_SCENARIOS'] ?? 300);
const firstSeed = Number(process.env['BGPMESH_FUZZ_SEED'] ?? 1);

for (const addPath of [false, true]) {
	test(`${count} random scenarios from seed ${firstSeed} end as the plain model says${addPath ? ', with path identifiers' : ''}`, (t) => {
		for (let seed = firstSeed; seed < firstSeed + count; seed++) {
			const problems = playScenario(seed, { steps: 20 + (seed % 60), addPath });
			if (problems.length > 0) t.fail(`seed ${seed}: ${problems.slice(0, 5).join('\n')}`);
		}
		t.pass();
	});
}
