import test from 'ava';
import fc from 'fast-check';
import { decodeMessage, openEnvelope, ProtobufError } from '../../../src/apiserver/protobuf/index.ts';
import { loadDefinitions, loadFieldTable } from '../../../src/apiserver/resources/index.ts';
import { Schema } from '../../../src/apiserver/schema/index.ts';

const definitions = loadDefinitions();
const table = loadFieldTable();
const decode = (type: string, bytes: Uint8Array) =>
	decodeMessage(
		table,
		`io.k8s.api.core.v1.${type}`,
		new Schema({ $ref: `io.k8s.api.core.v1.${type}` }, definitions),
		bytes,
	);
const bytes = (hex: string) => Buffer.from(hex.replaceAll(/#.*$|\s/gm, ''), 'hex');

test('a config map as kubectl create sends it', (t) => {
	const { apiVersion, kind, raw } = openEnvelope(
		bytes(`6b387300                                       # k8s NUL
		       0a0f 0a027631 1209436f6e6669674d6170           # TypeMeta: v1, ConfigMap
		       121b                                           # raw, 27 bytes
		         0a11 0a0161 1200 1a00 2200 2a00 3200 3800 4200  # metadata: name a, all else empty
		         1206 0a0178 120179                           # data: x = y
		       1a00 2200                                      # no encoding, no content type`),
	);
	t.deepEqual({ apiVersion, kind }, { apiVersion: 'v1', kind: 'ConfigMap' });
	t.deepEqual(decode('ConfigMap', raw), { metadata: { name: 'a' }, data: { x: 'y' } });
});

test('members of inlined structures, choices of number and text, and times', (t) => {
	// Volume: name v, VolumeSource { emptyDir {} }.
	t.deepEqual(decode('Volume', bytes('0a0176 1204 12020a00')), { name: 'v', emptyDir: {} });
	// ServicePort: name w, protocol TCP, port 80, targetPort { type 1, strVal web }, nodePort 0.
	t.deepEqual(decode('ServicePort', bytes('0a0177 1203544350 1850 2209 0801 1000 1a03776562 2800')), {
		name: 'w',
		protocol: 'TCP',
		port: 80,
		targetPort: 'web',
	});
	// ObjectMeta.creationTimestamp { seconds 1 }; ConfigMap.binaryData { k: ff }.
	t.deepEqual(decode('ConfigMap', bytes('0a04 4202 0801 1a06 0a016b 1201ff')), {
		metadata: { creationTimestamp: '1970-01-01T00:00:01Z' },
		binaryData: { k: '/w==' },
	});
});

test('any bytes decode or raise ProtobufError', (t) => {
	fc.assert(
		fc.property(
			fc.constantFrom('Pod', 'Node', 'Service', 'Secret', 'Event'),
			fc.uint8Array({ maxLength: 60 }),
			(type, data) => {
				try {
					decode(type, data);
					openEnvelope(Buffer.concat([bytes('6b387300'), data]));
				} catch (error) {
					if (!(error instanceof ProtobufError)) t.is((error as Error).name, 'JsonSyntaxError', String(error));
				}
			},
		),
		{ numRuns: 5000 },
	);
	t.pass();
});
