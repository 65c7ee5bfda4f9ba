import { type MetricRow, one } from './row.ts';

/** Metrics of routes and data planes in the kernel. */
export const kernelRows: readonly MetricRow[] = [
	{
		name: 'bgpmesh_fib_routes',
		kind: 'gauge',
		help: 'Routes by their state in the kernel.',
		labels: ['state'],
		samples: async ({ fib }) => {
			const here = fib();
			if (here?.summary().enabled !== true) return [];
			return Object.entries((await here.overview()).counts).map(([state, number]) => [{ state }, number]);
		},
	},
	{
		name: 'bgpmesh_fib_in_sync',
		kind: 'gauge',
		help: '1 when every source of routes is complete and the kernel refused none.',
		labels: [],
		samples: ({ fib }) => {
			const view = fib()?.summary();
			return view?.enabled === true ? one(view.inSync ? 1 : 0) : [];
		},
	},
	{
		name: 'bgpmesh_fib_refused',
		kind: 'gauge',
		help: '1 while no route is written because another program writes the same ones, by where that was seen.',
		labels: ['seen'],
		samples: ({ fib }) => {
			const view = fib()?.summary();
			return view?.enabled === true
				? (['kernel', 'resources'] as const).map((seen) => [{ seen }, Number(view.refusal?.seen === seen)])
				: [];
		},
	},
	{
		name: 'bgpmesh_plane_objects',
		kind: 'gauge',
		help: 'Kernel objects of each data plane: desired ones, and those of them that the kernel has.',
		labels: ['plane', 'state'],
		samples: async ({ planes }) =>
			(await planes()).flatMap(({ name, desired, installed }) => [
				[{ plane: name, state: 'desired' }, desired],
				[{ plane: name, state: 'installed' }, installed],
			]),
	},
	{
		name: 'bgpmesh_plane_failures',
		kind: 'gauge',
		help: 'Kernel objects of each data plane that the kernel refuses at present.',
		labels: ['plane'],
		samples: async ({ planes }) => (await planes()).map(({ name, failures }) => [{ plane: name }, failures.length]),
	},
	{
		name: 'bgpmesh_plane_in_sync',
		kind: 'gauge',
		help: '1 when every source of desired state of a data plane is complete.',
		labels: ['plane'],
		samples: async ({ planes }) => (await planes()).map(({ name, inSync }) => [{ plane: name }, Number(inSync)]),
	},
];
