import type { Step } from '../transcript.ts';
import { define, widget } from './objects.ts';

const group = 'custom.example.com';
const path = `/apis/${group}/v1/widgets`;

export const customResources: readonly Step[] = [
	...define(group),
	{ title: 'the definition is established', path: `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.${group}`, only: ['status.acceptedNames', 'status.storedVersions', 'status.conditions.0.type', 'status.conditions.1.type', 'status.conditions.1.reason', 'metadata.finalizers'] },
	{ title: 'its group is listed', path: `/apis/${group}` },
	{ title: 'its version is listed', path: `/apis/${group}/v1`, only: ['kind', 'groupVersion', 'resources.0.name', 'resources.0.singularName', 'resources.0.namespaced', 'resources.0.kind', 'resources.0.shortNames', 'resources.1.name', 'resources.1.verbs'] },
	{ title: 'an object is made with defaults', method: 'POST', path, body: widget(group, 'one', { size: 3, sequence: 1780000000123456789n, slots: [null, 1, null], parts: [{ name: 'a' }], free: { any: [1.5] } }), capture: { version: 'metadata.resourceVersion' } },
	{ title: 'every digit is kept', path: `${path}/one` },
	{ title: 'unknown members are dropped and warned of', method: 'POST', path, body: widget(group, 'unknown', { size: 3, surprise: 1 }) },
	{ title: 'unknown members are an error where that is asked for', method: 'POST', path: `${path}?fieldValidation=Strict`, body: widget(group, 'strict', { size: 3, surprise: 1, more: { x: 2 } }) },
	{ title: 'a replace needs a version', method: 'PUT', path: `${path}/one`, body: widget(group, 'one', { size: 4 }) },
	{ title: 'a replace counts a generation', method: 'PUT', path: `${path}/one`, body: widget(group, 'one', { size: 4 }, { resourceVersion: '{{version}}' }), capture: { second: 'metadata.resourceVersion' } },
	{ title: 'a replace with a version of the past', method: 'PUT', path: `${path}/one`, body: widget(group, 'one', { size: 5 }, { resourceVersion: '{{version}}' }) },
	{ title: 'labels are no new generation', method: 'PATCH', path: `${path}/one`, contentType: 'application/merge-patch+json', body: { metadata: { labels: { a: 'b' } } }, only: ['metadata.generation', 'metadata.labels', 'metadata.managedFields'] },
	{ title: 'status is not written with the rest', method: 'PATCH', path: `${path}/one`, contentType: 'application/merge-patch+json', body: { status: { phase: 'x' } }, only: ['status', 'metadata.generation'] },
	{ title: 'status is written by itself', method: 'PATCH', path: `${path}/one/status`, contentType: 'application/merge-patch+json', body: { metadata: { labels: { c: 'd' } }, spec: { size: 9 }, status: { phase: 'x', surprise: 1 } }, only: ['status', 'spec.size', 'metadata.labels', 'metadata.generation', 'metadata.managedFields'] },
	{ title: 'status is read by itself', path: `${path}/one/status`, only: ['status', 'kind'] },
	{ title: 'status at creation is dropped', method: 'POST', path, body: { ...widget(group, 'status', { size: 1 }), status: { phase: 'x' } }, only: ['status', 'metadata.generation', 'metadata.managedFields'] },
	{ title: 'a strategic merge patch is not for custom resources', method: 'PATCH', path: `${path}/one`, contentType: 'application/strategic-merge-patch+json', body: { spec: { size: 2 } } },
	{ title: 'without a kind nothing is made', method: 'POST', path, body: { metadata: { name: 'x' }, spec: { size: 1 } }, only: ['reason', 'code'] },
	{ title: 'a table', path: `${path}?fieldSelector=metadata.name%3Done`, accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json', only: ['kind', 'columnDefinitions.0.name', 'columnDefinitions.1.name', 'columnDefinitions.1.type', 'columnDefinitions.2.priority', 'columnDefinitions.3.name', 'columnDefinitions.4', 'rows.0.cells', 'rows.0.object.kind'] },
	{ title: 'metadata alone', path: `${path}/one`, accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io', only: ['kind', 'apiVersion', 'metadata.name', 'spec'] },
	{ title: 'metadata of a list alone', path, accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', only: ['kind', 'apiVersion', 'items.0.kind', 'items.0.metadata.name', 'items.0.spec'] },
	{ title: 'items of a list say their kind', path, only: ['kind', 'apiVersion', 'items.0.kind', 'items.0.apiVersion'] },
	{ title: 'items of built-in kinds do not', path: '/api/v1/namespaces', only: ['kind', 'apiVersion', 'items.0.kind', 'items.0.apiVersion', 'items.0.metadata.name'] },
];
