import type { Step } from '../transcript.ts';
import { configMap, namespace } from './objects.ts';

const maps = '/api/v1/namespaces/questions/configmaps';
const select = (selector: string, refused = false): Step => ({
	title: `labels ${selector}`,
	path: `${maps}?labelSelector=${encodeURIComponent(selector)}`,
	...(refused ? {} : { only: ['items.0.metadata.name', 'items.1.metadata.name', 'items.2.metadata.name'] }),
});

/** Parameters of lists, watches and GETs, and the errors for invalid ones. */
export const questions: readonly Step[] = [
	namespace('questions'),
	...['a', 'b', 'c'].map(
		(name, index): Step => ({
			title: `object ${name}`,
			method: 'POST',
			path: maps,
			body: configMap(name, {}, { labels: { name, index: String(index), ...(index === 1 ? { only: 'b' } : {}) } }),
			only: ['metadata.name'],
			...(name === 'c' ? { capture: { version: 'metadata.resourceVersion' } } : {}),
		}),
	),
	...[
		'name=a',
		'name==a',
		'name!=a',
		'name in (a,b)',
		'name notin (a, b)',
		'only',
		'!only',
		'! only',
		'index>0',
		'index<1',
		'name in (a),index=0',
		'only=',
		'only in ()',
		' name = a ',
	].map((selector) => select(selector)),
	...[
		'bad label==',
		'name=a b',
		'name=a,',
		',name',
		'name in a',
		'name in (a',
		'name=a)',
		'=a',
		'name=#',
		'index>x',
		'na me',
		'!',
		'name in (a b)',
		'a/b/c=d',
	].map((selector) => select(selector, true)),
	{ title: 'a limit that is no number', path: `${maps}?limit=many` },
	{ title: 'a limit below nothing', path: `${maps}?limit=-1`, only: ['items.2.metadata.name', 'metadata.continue'] },
	{ title: 'a timeout that is no number', path: `${maps}?watch=true&timeoutSeconds=long` },
	{ title: 'a version that is none', path: `${maps}?resourceVersion=new` },
	{ title: 'a watch from a version that is none', path: `${maps}?watch=true&resourceVersion=new` },
	{ title: 'an object of a version that is none', path: `${maps}/a?resourceVersion=new` },
	{
		title: 'an object of a version that is not reached yet',
		path: `${maps}/a?resourceVersion=999999999`,
		only: ['code', 'reason', 'details'],
	},
	{
		title: 'a list of a version that is not reached yet',
		path: `${maps}?resourceVersion=999999999`,
		only: ['code', 'reason', 'details'],
	},
	{ title: 'an object at least as new', path: `${maps}/a?resourceVersion={{version}}`, only: ['metadata.name'] },
	{
		title: 'pages of any version',
		path: `${maps}?resourceVersion=0&limit=1`,
		only: ['items.2.metadata.name', 'metadata.continue'],
	},
	{ title: 'exactly any version', path: `${maps}?resourceVersion=0&resourceVersionMatch=Exact` },
	{ title: 'a list that begins as a watch', path: `${maps}?sendInitialEvents=true` },
	{ title: 'a watch with its beginning, without its version', path: `${maps}?watch=true&sendInitialEvents=true` },
	{
		title: 'a watch spelled otherwise',
		path: `${maps}?watch=yes&resourceVersion={{version}}&timeoutSeconds=1`,
		lines: 1,
	},
	{ title: 'a method that the version does not know', method: 'POST', path: '/version', body: {} },
];
