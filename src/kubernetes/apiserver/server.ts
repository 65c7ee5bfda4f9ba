import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { type Clock, type Logger, type Random, silentLogger, systemClock } from '../../core/index.ts';
import { type JsonObject, textAt } from '../json/index.ts';
import { type Api, put, timestamp } from './api/index.ts';
import { Controllers } from './controllers.ts';
import { Authenticator, type Certificate, createListener, type TokenUser } from './http/index.ts';
import { decideCreate, normalize } from './objects/index.ts';
import { collectionOf, established, loadDefinitions, Registry } from './resources/index.ts';
import { type HistoryLimits, openLevelJournal, Store } from './store/index.ts';

/** What an embedded API server is made of. */
export interface ApiServerOptions {
	/** A folder that keeps everything; without it, everything is forgotten at the end. */
	readonly dataFolder?: string;
	readonly listen: { readonly address: string /** 0: any free one. */; readonly port: number };
	/** Who may come in; members of `system:masters` may everything. */
	readonly users: readonly TokenUser[];
	/** Absent: plain HTTP. */
	readonly certificate?: Certificate;
	readonly serviceCidr?: string;
	/** CustomResourceDefinitions to begin with; those that are there stay as they are. */
	readonly customDefinitions?: readonly JsonObject[];
	readonly history?: HistoryLimits;
	readonly log?: Logger;
	readonly clock?: Clock;
	readonly random?: Random;
}

/** A running API server. */
export interface ApiServer {
	/** `https://127.0.0.1:6443` */
	readonly url: string;
	readonly port: number;
	/** Forgets history up to now: older watches and pages get 410 Gone. */
	compact(): void;
	/** Ends watches, refuses connections, closes the disk. */
	close(): Promise<void>;
}

/** Starts an API server; resolves when it answers. Rejects when the folder or the address is taken. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
	const { clock = systemClock, random = Math.random, log = silentLogger } = options;
	const journal = options.dataFolder === undefined ? undefined : await openLevelJournal(options.dataFolder);
	const store = await Store.open(journal, clock, options.history);
	const api: Api = {
		store,
		registry: new Registry(loadDefinitions()),
		clock,
		random,
		log,
		serviceCidr: options.serviceCidr ?? '10.96.0.0/16',
		newUid: randomUUID,
	};
	await bootstrap(api, options.customDefinitions ?? []);
	const controllers = new Controllers(api, log);
	controllers.start();
	const stopping = new AbortController();
	// Every watch listens for the end.
	setMaxListeners(0, stopping.signal);
	const listener = createListener({ api, authenticator: new Authenticator(options.users), log, certificate: options.certificate, signal: stopping.signal });
	const port = await listen(listener, options.listen);
	const { address } = options.listen;
	return {
		url: `${options.certificate === undefined ? 'http' : 'https'}://${address.includes(':') ? `[${address}]` : address}:${port}`,
		port,
		compact: () => store.compact(store.committed),
		async close() {
			controllers.stop();
			stopping.abort();
			await new Promise<void>((resolve) => {
				listener.close(() => resolve());
				if ('closeAllConnections' in listener && typeof listener.closeAllConnections === 'function') listener.closeAllConnections();
			});
			await store.close();
		},
	};
}

function listen(server: Server, { address, port }: ApiServerOptions['listen']): Promise<number> {
	return new Promise((resolve, reject) => {
		server.once('error', reject);
		server.listen(port, address, 4096, () => {
			server.removeListener('error', reject);
			// A TCP server has an address of this shape once it listens.
			resolve((server.address() as AddressInfo).port);
		});
	});
}

/** The namespaces that every cluster has, and the definitions that are wanted. */
async function bootstrap(api: Api, customDefinitions: readonly JsonObject[]): Promise<void> {
	const type = api.registry.find('', 'v1', 'namespaces');
	if (type === undefined) throw new Error('namespaces are built in');
	for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) {
		if (api.store.latest('/namespaces', name) !== undefined) continue;
		const metadata = { name, uid: api.newUid(), creationTimestamp: timestamp(api.clock), labels: { 'kubernetes.io/metadata.name': name } };
		await put(api, undefined, type, name, { kind: 'Namespace', apiVersion: 'v1', metadata, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } });
	}
	for (const definition of customDefinitions) await define(api, definition);
	// A revision from before the start is never one to watch from.
	api.store.compact(api.store.committed);
}

async function define(api: Api, definition: JsonObject): Promise<void> {
	const type = api.registry.find('apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
	const name = textAt(definition, 'metadata', 'name') ?? '';
	if (type === undefined || api.store.latest(collectionOf(type), name) !== undefined) return;
	const now = timestamp(api.clock);
	const { object } = normalize(type, definition);
	const created = decideCreate(type, object, { now, uid: api.newUid(), manager: 'bgpmesh', subresource: '' });
	await put(api, undefined, type, name, established(created, now));
}
