import { parseArgs } from 'node:util';
import { type IpamFigures, measureIpam } from './measure.ts';

const { values } = parseArgs({
	options: { kubeconfig: { type: 'string', multiple: true }, seconds: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
});
const kubeconfigs = values.kubeconfig ?? [];
if (kubeconfigs.length === 0) {
	process.stderr.write('bench/ipam: which servers? --kubeconfig FILE, once for each\n');
	process.exit(2);
}
const results: Record<string, IpamFigures> = {};
for (const kubeconfig of kubeconfigs)
	results[kubeconfig] = await measureIpam(kubeconfig, {
		seconds: Number(values.seconds),
		progress: (text) => process.stderr.write(`${kubeconfig}: ${text}\n`),
	});
if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else
	for (const [server, { writesPerSecond, allocationsPerSecond, share, sequential, hundredAtOnceSeconds, requests }] of Object.entries(results)) {
		process.stdout.write(
			`${server}\n  writes/s of 32 writers        ${writesPerSecond.toFixed(0)}\n  allocations/s                 ${allocationsPerSecond.toFixed(0)} (share ${share.toFixed(2)})\n` +
				`  one after another             ${sequential.perSecond.toFixed(0)}/s, p50 ${sequential.p50.toFixed(1)} ms, p99 ${sequential.p99.toFixed(1)} ms\n  100 at once                   ${hundredAtOnceSeconds.toFixed(2)} s\n` +
				`  requests, cold and warm       ${requests.coldReads} reads + ${requests.coldWrites} writes; ${requests.warmReads} reads + ${requests.warmWrites} writes\n`,
		);
	}
process.exit(0);
