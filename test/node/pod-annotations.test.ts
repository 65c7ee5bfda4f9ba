import test from 'ava';
import { type Clock, type Logger, systemClock } from '../../src/core/index.ts';
import { ApiError, type Resource } from '../../src/kubernetes/index.ts';
import { PodAnnotations } from '../../src/node/pod-annotations.ts';

const pod = { namespace: 'default', name: 'web', uid: 'u1' };
const attachment = { network: 'pods', containerId: 'c1', ifname: 'eth0', pod };
const refusal = (code: number) => new ApiError(code, '', `error ${code}`);

/** `answers`: an error for each attempt; `undefined`: success. */
function annotations(answers: readonly (Error | undefined)[] = []) {
	const patches: unknown[] = [];
	const warnings: string[] = [];
	const log: Logger = {
		...{ debug() {}, info() {}, error() {}, child: () => log },
		warn: (message) => void warnings.push(message),
	};
	const clock: Clock = {
		...systemClock,
		after(_, callback) {
			const timer = setTimeout(callback, 0);
			return { cancel: () => clearTimeout(timer) };
		},
	};
	const client = {
		patch: async (...[, name, patch, type, options]: readonly unknown[]) => {
			patches.push({ name, patch, type, options });
			const error = answers[patches.length - 1];
			if (error !== undefined) throw error;
			return {};
		},
	};
	const annotations = { 'kubernetes.io/config.mirror': 'file' };
	const pods = {
		items: new Map([
			['default/web', { uid: 'u1', annotations: {} } as Resource],
			['default/static', { uid: 'mirror', annotations } as unknown as Resource],
		]),
	};
	const written = new PodAnnotations({ client, pods, clock, random: () => 0, log });
	return { written, patches, warnings };
}

test('the addresses of a new interface are written with the container and the uid of the pod', async (t) => {
	const { written, patches } = annotations();
	await written.attached(attachment, ['10.0.0.1', 'fd00::1']);
	t.deepEqual(patches, [
		{
			name: 'web',
			patch: {
				metadata: {
					uid: 'u1',
					annotations: {
						'cni.projectcalico.org/containerID': 'c1',
						'cni.projectcalico.org/podIP': '10.0.0.1/32',
						'cni.projectcalico.org/podIPs': '10.0.0.1/32,fd00::1/128',
					},
				},
			},
			type: 'application/strategic-merge-patch+json',
			options: { namespace: 'default', subresource: 'status' },
		},
	]);
});

test('a removed interface empties the addresses only if they are those of its container', async (t) => {
	const { written, patches } = annotations();
	await written.detached(attachment);
	t.like(patches[0], {
		patch: [
			{ op: 'test', path: '/metadata/annotations/cni.projectcalico.org~1containerID', value: 'c1' },
			{ op: 'add', path: '/metadata/annotations/cni.projectcalico.org~1podIP', value: '' },
			{ op: 'add', path: '/metadata/annotations/cni.projectcalico.org~1podIPs', value: '' },
		],
	});
});

test('a static pod is annotated by the uid of its mirror', async (t) => {
	const { written, patches } = annotations();
	await written.attached({ ...attachment, pod: { ...pod, name: 'static', uid: 'file' } }, ['10.0.0.1']);
	t.like(patches[0], { name: 'static', patch: { metadata: { uid: 'mirror' } } });
});

test('a second network, a container without a pod, and a pod that is gone are not annotated', async (t) => {
	const { written, patches } = annotations();
	await written.attached({ ...attachment, ifname: 'net1' }, ['10.0.0.1']);
	await written.attached({ ...attachment, pod: undefined }, ['10.0.0.1']);
	await written.detached({ ...attachment, pod: { ...pod, name: 'gone' } });
	t.deepEqual(patches, []);
});

test('a write that fails is repeated', async (t) => {
	const { written, patches, warnings } = annotations([new Error('away'), refusal(500)]);
	await written.attached(attachment, ['10.0.0.1']);
	t.is(patches.length, 3);
	t.deepEqual(warnings, []);
});

test('another incarnation of the pod is left alone; a missing permission is logged once', async (t) => {
	const conflict = annotations([refusal(409)]);
	await conflict.written.attached(attachment, ['10.0.0.1']);
	t.is(conflict.patches.length, 1);
	const refused = annotations([refusal(403), refusal(403)]);
	await refused.written.attached(attachment, ['10.0.0.1']);
	await refused.written.attached(attachment, ['10.0.0.1']);
	t.is(refused.patches.length, 2);
	t.is(refused.warnings.length, 1);
});

test('DEL ends the attempts of an ADD that still fails', async (t) => {
	const { written, patches } = annotations(Array.from({ length: 8 }, () => new Error('away')));
	const adding = written.attached(attachment, ['10.0.0.1']);
	await written.detached(attachment);
	await adding;
	t.true(patches.length < 4, `${patches.length} patches`);
	t.like(patches.at(-1), { type: 'application/json-patch+json' });
});
