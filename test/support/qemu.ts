import test from 'ava';
import { type KernelSeries, missingForQemu } from '../../lab/qemu/index.ts';

/**
 * `test.serial` if Debian's kernel of that series can run under QEMU, otherwise `test.skip`, with
 * the reason on the console. On demand only: a boot takes 11 to 50 s.
 */
export function qemuTest(series: KernelSeries): typeof test.serial | typeof test.skip {
	const missing = missingForQemu(series);
	if (missing !== undefined) console.warn(`SKIPPED: tests in Debian's kernel ${series}: ${missing}`);
	return missing === undefined ? test.serial : test.skip;
}
