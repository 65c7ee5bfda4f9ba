import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { kubeconfigOf, selfSigned } from '../../src/apiserver/index.ts';
import { type JsonObject, objectAt, stringifyJson, textAt } from '../../src/json/index.ts';
import { nodeName, otherObjects, podObject, type WorldSize } from './world.ts';

/** Objects of a response are written in pieces of this many. */
const inOnePiece = 500;
/** What a pod of a cluster has besides the fields that policy reads, in bytes; about as much as without managed fields. */
const unusedBytes = 2500;
const version = '2000000';

/**
 * The lists and watches of an API server with a generated cluster, for one client at a time: objects are made while they are
 * sent, so that the memory of the machine is the client's. Watches stay silent.
 */
export class StandInServer {
	readonly #size: WorldSize;
	readonly #server: Server;
	readonly #certificate = selfSigned('bench', ['127.0.0.1'], Date.now());

	constructor(size: WorldSize) {
		this.#size = size;
		this.#server = createServer(this.#certificate, (request, response) => {
			const { pathname, searchParams } = new URL(request.url ?? '/', 'http://server');
			response.setHeader('content-type', 'application/json');
			// This node is not the one that works for all.
			if (pathname.includes('/leases')) {
				response.statusCode = 403;
				response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 403 }));
				return;
			}
			if (request.method !== 'GET') {
				response.statusCode = request.method === 'POST' ? 201 : 200;
				request.pipe(response);
				return;
			}
			if (searchParams.get('watch') === 'true') {
				response.flushHeaders();
				return;
			}
			// api/v1/PLURAL/NAME or apis/GROUP/VERSION/PLURAL/NAME, with namespaces/NAMESPACE before the plural.
			const [root = '', ...parts] = pathname.split('/').filter((part) => part !== '');
			const group = root === 'api' ? '' : `${parts.shift() ?? ''}/`;
			const [, ...rest] = parts;
			const [plural, name] = rest[0] === 'namespaces' && rest.length > 2 ? rest.slice(2) : rest;
			if (plural === undefined) {
				response.end(JSON.stringify(discovery(pathname)));
				return;
			}
			if (name !== undefined) {
				response.statusCode = 404;
				response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404 }));
				return;
			}
			const first = Number(searchParams.get('continue') ?? 0);
			// As an API server does: a list of the cache is not paged.
			const limit =
				searchParams.get('resourceVersion') === '0' ? Infinity : Number(searchParams.get('limit') ?? Infinity);
			const selected = {
				node: searchParams.get('fieldSelector')?.replace('spec.nodeName=', ''),
				// No object has the labels that are asked for.
				labels: searchParams.get('labelSelector'),
			};
			void this.#list(`${group}${plural}`, selected, first, limit, response);
		});
	}

	/** Returns a kubeconfig. */
	async listen(): Promise<string> {
		await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
		// A listening socket of TCP has one.
		const server = `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
		return stringifyJson(kubeconfigOf({ server, certificate: this.#certificate.cert, token: 'bench' }));
	}

	close(): void {
		this.#server.closeAllConnections();
		this.#server.close();
	}

	async #list(
		what: string,
		{ node, labels }: { readonly node: string | undefined; readonly labels: string | null },
		first: number,
		limit: number,
		response: { write(text: string): boolean; end(text: string): void; once(event: 'drain', act: () => void): void },
	): Promise<void> {
		let index = 0;
		let more = false;
		let piece = '{"apiVersion":"v1","kind":"List","items":[';
		for (const object of this.#objects(what, labels)) {
			if (node !== undefined && textAt(object, 'spec', 'nodeName') !== node) continue;
			const at = index++;
			if (at < first) continue;
			if (at >= first + limit) {
				more = true;
				break;
			}
			piece += `${at === first ? '' : ','}${JSON.stringify(object)}`;
			if (at % inOnePiece !== 0) continue;
			if (!response.write(piece)) await new Promise<void>((done) => response.once('drain', done));
			piece = '';
		}
		const next = more ? `,"continue":"${first + limit}"` : '';
		response.end(`${piece}],"metadata":{"resourceVersion":"${version}"${next}}}`);
	}

	*#objects(what: string, labels: string | null): Iterable<JsonObject> {
		if (what === 'pods' && labels === null) {
			const unused = 'x'.repeat(unusedBytes);
			for (let index = 0; index < this.#size.pods; index++) {
				const pod = podObject(index, this.#size);
				yield { ...pod, spec: { ...objectAt(pod, 'spec'), unused } };
			}
			return;
		}
		const kinds: Readonly<Record<string, string>> = {
			namespaces: 'Namespace',
			nodes: 'Node',
			'networking.k8s.io/networkpolicies': 'NetworkPolicy',
		};
		for (const object of otherObjects(this.#size)) {
			if (textAt(object, 'kind') !== kinds[what]) continue;
			const isOwn = textAt(object, 'metadata', 'name') === nodeName(0);
			const metadata = {
				resourceVersion: '1',
				uid: String(textAt(object, 'metadata', 'name')),
				...objectAt(object, 'metadata'),
				...(isOwn ? { annotations: { 'projectcalico.org/IPv4Address': '127.7.0.1/8' } } : {}),
			};
			yield { ...object, metadata };
		}
	}
}

/** Calico's resources of version 1, without any objects; nothing else is asked for by discovery. */
function discovery(path: string): object {
	if (path === '/apis') {
		const version = { groupVersion: 'crd.projectcalico.org/v1', version: 'v1' };
		return {
			kind: 'APIGroupList',
			groups: [{ name: 'crd.projectcalico.org', versions: [version], preferredVersion: version }],
		};
	}
	const calico = path.endsWith('/crd.projectcalico.org/v1');
	const resource = { name: 'ippools', singularName: '', namespaced: false, kind: 'IPPool', verbs: ['list', 'watch'] };
	return { kind: 'APIResourceList', groupVersion: path.slice('/apis/'.length), resources: calico ? [resource] : [] };
}
