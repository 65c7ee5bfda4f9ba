import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { type Clock, type Logger, type Random, silentLogger, systemClock } from '../core/index.ts';
import { type JsonObject, textAt } from '../json/index.ts';
import { type Api, put, timestamp } from './api/index.ts';
import { Controllers } from './controllers.ts';
import {
	Authenticator,
	type Certificate,
	type ConnectionLimits,
	createListener,
	type TokenUser,
} from './http/index.ts';
import { decideCreate, normalize } from './objects/index.ts';
import { collectionOf, established, loadDefinitions, Registry } from './resources/index.ts';
import { loadRules } from './rules/index.ts';
import { type HistoryLimits, openLevelJournal, Store } from './store/index.ts';

/** Options of an embedded API server. */
export interface ApiServerOptions {
	/** The folder of the persistent store; absent: the store is in memory. */
	readonly dataFolder?: string;
	readonly listen: { readonly address: string /** 0: any free one. */; readonly port: number };
	/** The users; members of `system:masters` have all permissions. */
	readonly users: readonly TokenUser[];
	/** Absent: plain HTTP. */
	readonly certificate?: Certificate;
	readonly serviceCidr?: string;
	/** Initial CustomResourceDefinitions; existing ones are not changed. */
	readonly customDefinitions?: readonly JsonObject[];
	readonly history?: HistoryLimits;
	readonly limits?: Partial<ConnectionLimits>;
	readonly log?: Logger;
	readonly clock?: Clock;
	readonly random?: Random;
}

/** A running API server. */
export interface ApiServer {
	/** `https://127.0.0.1:6443` */
	readonly url: string;
	readonly port: number;
	/** Discards the history: older watches and pages get 410 Gone. */
	compact(): void;
	/** Ends watches, closes the listener and the store. */
	close(): Promise<void>;
}

/**
 * Starts an API server; resolves when it accepts requests. Rejects if the folder or the address is
 * in use.
 */
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
	// Every watch adds a listener to the signal.
	setMaxListeners(0, stopping.signal);
	const listener = createListener({
		api,
		authenticator: new Authenticator(options.users),
		log,
		certificate: options.certificate,
		signal: stopping.signal,
		...(options.limits === undefined ? {} : { limits: options.limits }),
	});
	const port = await listen(listener, options.listen);
	const { address } = options.listen;
	const host = address.includes(':') ? `[${address}]` : address;
	return {
		url: `${options.certificate === undefined ? 'http' : 'https'}://${host}:${port}`,
		port,
		compact: () => store.compact(store.committed),
		async close() {
			controllers.stop();
			stopping.abort();
			await new Promise<void>((resolve) => {
				listener.close(() => resolve());
				if ('closeAllConnections' in listener && typeof listener.closeAllConnections === 'function')
					listener.closeAllConnections();
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
			// The address of a listening TCP server has this shape.
			resolve((server.address() as AddressInfo).port);
		});
	});
}

/** Creates the default namespaces, and the initial definitions. */
async function bootstrap(api: Api, customDefinitions: readonly JsonObject[]): Promise<void> {
	const type = api.registry.find('', 'v1', 'namespaces');
	if (type === undefined) throw new Error('namespaces are built in');
	for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease']) {
		if (api.store.latest('/namespaces', name) !== undefined) continue;
		const metadata = {
			name,
			uid: api.newUid(),
			creationTimestamp: timestamp(api.clock),
			labels: { 'kubernetes.io/metadata.name': name },
		};
		await put(api, undefined, type, name, {
			kind: 'Namespace',
			apiVersion: 'v1',
			metadata,
			spec: { finalizers: ['kubernetes'] },
			status: { phase: 'Active' },
		});
	}
	// Definitions may have rules, and no request has loaded the engine yet.
	if (customDefinitions.length > 0) await loadRules();
	for (const definition of customDefinitions) await define(api, definition);
	// A watch can not start at a revision from before the start.
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
