/** Services from the model to the kernel: the initial state, and one change. */
import { prefixKey } from '../../src/core/index.ts';
import { check, libc, loadRuleset } from '../../src/linux/index.ts';
import { NftablesServices } from '../../src/nftables/index.ts';
import { resolveSettings, ServicesState } from '../../src/services/index.ts';
import { type Distribution, repeated, residentMib, round, timed } from './measures.ts';

export interface ServicesBenchOptions {
	readonly services: number;
	/** Of each Service. */
	readonly backends: number;
	readonly changes: number;
}

export interface ServicesBenchResult extends ServicesBenchOptions {
	/** Services and EndpointSlices to the model. */
	readonly computeMs: number;
	/** Model to kernel, with an empty kernel and with a complete one. */
	readonly startMs: number;
	readonly restartMs: number;
	/** One endpoint of a Service is replaced. */
	readonly change: Distribution;
	readonly residentMib: number;
}

const addressOf = (base: number, index: number) => `10.${base + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

/** Runs in its own network namespace, which this process enters. */
export async function benchServices(options: ServicesBenchOptions): Promise<ServicesBenchResult> {
	const { services, backends, changes } = options;
	check('unshare', libc().unshare(0x40000000));
	const settings = resolveSettings(
		{
			podRanges: [prefixKey('10.128.0.0/9')],
			serviceRanges: [prefixKey('10.96.0.0/12')],
			masqueradeAll: false,
			nodePortAddresses: 'primary',
		},
		['192.0.2.1'],
	);
	const state = new ServicesState({ node: { name: 'here', primary: { ipv4: '192.0.2.1' } }, settings });
	const put = (index: number, replaced: boolean) =>
		state.setSlice({
			metadata: { name: `s${index}-1`, namespace: 'ns', labels: { 'kubernetes.io/service-name': `s${index}` } },
			addressType: 'IPv4',
			endpoints: Array.from({ length: backends }, (_, number) => ({
				addresses: [addressOf(128, replaced && number === 0 ? 4_000_000 + index : index * backends + number)],
				nodeName: 'there',
				conditions: {},
			})),
			ports: [{ name: 'p', port: 8080, protocol: 'TCP' }],
		});
	const computeMs = await timed(async () => {
		for (let index = 0; index < services; index++) {
			state.setService({
				metadata: { name: `s${index}`, namespace: 'ns' },
				spec: { clusterIP: addressOf(96, index), ports: [{ name: 'p', port: 80, protocol: 'TCP' }] },
			});
			put(index, false);
		}
		state.settle();
	});
	const kernel = new NftablesServices({ load: loadRuleset });
	const startMs = await timed(() => kernel.sync(state.model));
	const next = new NftablesServices({ load: loadRuleset });
	const restartMs = await timed(() => next.sync(state.model));
	next.close();
	const change = await repeated(changes, (index) => {
		put(index, true);
		return kernel.apply(state.settle(), state.model);
	});
	kernel.close();
	return {
		services,
		backends,
		changes,
		computeMs: round(computeMs),
		startMs: round(startMs),
		restartMs: round(restartMs),
		change,
		residentMib: residentMib(),
	};
}
