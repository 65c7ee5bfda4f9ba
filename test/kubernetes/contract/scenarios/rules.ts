import type { JsonObject } from '../../../../src/json/index.ts';
import type { Step } from '../transcript.ts';
import { widget, widgets } from './objects.ts';

const group = 'rules.example.com';
const path = `/apis/${group}/v1/widgets`;
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const refuse = (title: string, spec: JsonObject): Step => ({
	title,
	method: 'POST',
	path,
	body: widget(group, 'bad', spec),
});
const merge = (title: string, body: JsonObject, more: Partial<Step> = {}): Step => ({
	title,
	method: 'PATCH',
	path: `${path}/one`,
	contentType: 'application/merge-patch+json',
	body,
	...more,
});
const texts = { type: 'array', maxItems: 5, items: { type: 'string', maxLength: 20 } };

/** A definition of one version with the schema. */
const defined = (of: string, openAPIV3Schema: JsonObject): JsonObject =>
	widgets(of, {
		versions: [{ name: 'v1', served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema } }],
	});

const schema: JsonObject = {
	type: 'object',
	'x-kubernetes-validations': [{ rule: "self.metadata.name != 'forbidden'", message: 'that name is taken' }],
	properties: {
		spec: {
			type: 'object',
			'x-kubernetes-validations': [
				{ rule: 'self.low <= self.high', message: 'low must not be above high' },
				{ rule: '!has(self.mode) || self.mode != "Both"' },
				{
					rule: 'self.low < 90',
					messageExpression: '"at most 89 with " + self.mode',
					message: 'at most 89',
					reason: 'FieldValueForbidden',
				},
				{ rule: 'self.high != 55', message: 'fifty-five', fieldPath: '.high', reason: 'FieldValueDuplicate' },
				{ rule: '!has(self.names) || self.names.all(n, n.startsWith("n"))', message: 'every name begins with n' },
				{ rule: '!has(self.names) || self.names.exists(n, n.matches("^n[0-9]+$"))', message: 'one name has a number' },
				{ rule: '!has(self.labels) || self.labels.all(key, self.labels[key] != "no")', message: 'no label is no' },
				{ rule: 'self.low != 77 || self.names[3] == "x"', message: 'not evaluated' },
			],
			required: ['low', 'high'],
			properties: {
				low: { type: 'integer' },
				high: { type: 'integer', default: 10, maximum: 100 },
				mode: { type: 'string', maxLength: 10 },
				names: texts,
				labels: { type: 'object', maxProperties: 4, additionalProperties: { type: 'string', maxLength: 10 } },
				port: {
					'x-kubernetes-int-or-string': true,
					'x-kubernetes-validations': [
						{ rule: 'type(self) == int ? self < 1000 : self.size() < 4', message: 'a small port' },
					],
				},
				fixed: {
					type: 'string',
					maxLength: 10,
					'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'it never changes' }],
				},
				fresh: {
					type: 'integer',
					'x-kubernetes-validations': [
						{ rule: 'oldSelf.hasValue() || self == 1', optionalOldSelf: true, message: 'it begins with one' },
					],
				},
				'dashed-name': { type: 'integer' },
				when: { type: 'string', format: 'date-time' },
				amount: {
					type: 'string',
					maxLength: 20,
					'x-kubernetes-validations': [
						{ rule: 'isQuantity(self) && quantity(self).isLessThan(quantity("2Gi"))', message: 'less than 2Gi' },
					],
				},
				cidr: {
					type: 'string',
					maxLength: 43,
					'x-kubernetes-validations': [
						{
							rule: 'isCIDR(self) && cidr(self).prefixLength() <= 24 && cidr("10.0.0.0/8").containsCIDR(self)',
							message: 'a part of 10.0.0.0/8',
						},
					],
				},
				address: {
					type: 'string',
					maxLength: 39,
					'x-kubernetes-validations': [
						{ rule: 'isIP(self) && ip(self).family() == 4 && !ip(self).isLoopback()', message: 'an IPv4 address' },
					],
				},
				sorted: {
					...texts,
					'x-kubernetes-validations': [
						{ rule: 'self.isSorted() && self.map(x, size(x)).sum() < 10', message: 'sorted and short' },
					],
				},
				parts: {
					type: 'array',
					maxItems: 4,
					'x-kubernetes-list-type': 'map',
					'x-kubernetes-list-map-keys': ['name'],
					items: {
						type: 'object',
						required: ['name'],
						'x-kubernetes-validations': [
							{ rule: 'self.name != "x"', message: 'no part is x' },
							{ rule: '!has(oldSelf.weight) || self.weight >= oldSelf.weight', message: 'a part grows' },
						],
						properties: { name: { type: 'string', maxLength: 10 }, weight: { type: 'integer', default: 1 } },
					},
				},
				free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
			},
		},
		status: {
			type: 'object',
			properties: {
				count: {
					type: 'integer',
					'x-kubernetes-validations': [
						{ rule: 'self >= 0', message: 'a count' },
						{ rule: 'self >= oldSelf', message: 'it counts up' },
					],
				},
			},
		},
	},
};

/** A definition whose only rule is at `spec`. */
const withRule = (rule: JsonObject): JsonObject =>
	defined('wrong.example.com', {
		type: 'object',
		properties: {
			spec: {
				type: 'object',
				'x-kubernetes-validations': [rule],
				properties: {
					low: { type: 'integer' },
					name: { type: 'string', maxLength: 5 },
					list: { type: 'array', maxItems: 3, items: { type: 'string', maxLength: 5 } },
				},
			},
		},
	});
/** The wording of a compiler error is specific to the implementation. */
const refused = ['reason', 'code', 'details.causes.0.reason', 'details.causes.0.field', 'details.causes.1.field'];
const definition = (title: string, rule: JsonObject, only: readonly string[] = refused): Step => ({
	title,
	method: 'POST',
	path: definitions,
	body: withRule(rule),
	only,
});

/**
 * Expressions for the library: the response lists those that evaluate to false, or do not compile.
 */
const questions = [
	'"äöü".charAt(1) == "ö" && "äöü".size() == 3',
	'"tacocat".indexOf("ac") == 1 && "tacocat".indexOf("z") == -1 && "tacocat".lastIndexOf("a") == 5',
	'"tacocat".charAt(7) == ""',
	'"tacocat".charAt(8) == ""',
	'"hello hello".replace("he", "we", 1) == "wello hello" && "hello".replace("l", "L") == "heLLo" && "hello".replace("l", "L", 0) == "hello"',
	'"hello".replace("", "_") == "_h_e_l_l_o_"',
	'"a,b,c".split(",") == ["a", "b", "c"] && "a,b,c".split(",", 2) == ["a", "b,c"] && "".split(",") == [""] && "ab".split("") == ["a", "b"]',
	'"a,b,c".split(",", 0) == []',
	'self.tags.join() == "ab" && self.tags.join("-") == "a-b"',
	'"tacocat".substring(4) == "cat" && "tacocat".substring(0, 4) == "taco"',
	'"  a\t".trim() == "a" && "TacoCat".lowerAscii() == "tacocat" && "tacoCat".upperAscii() == "TACOCAT"',
	'"abc 123".find("[0-9]+") == "123" && "abc".find("[0-9]+") == "" && "1 2 3".findAll("[0-9]") == ["1", "2", "3"] && "1 2 3".findAll("[0-9]", 2) == ["1", "2"]',
	'"abc".matches("b") && !"abc".matches("^b") && "abc".contains("bc") && "abc".endsWith("c")',
	'"%s %d %.2f %x %X %o %b %%".format(["a", 10, 1.5, 255, 255, 8, 5]) == "a 10 1.50 ff FF 10 101 %"',
	'"%s".format([["a", 1, 1.5, true]]) == "[a, 1, 1.5, true]" && "%s".format([null]) == "null"',
	'"%s".format([1.5]) == "1.500000"',
	'"%s".format([1.5]) == "1.5"',
	'"%s".format([["a", 1]]) == "[a, 1]"',
	'"%s".format([[1.5]]) == "[1.500000]"',
	'"%s".format([["a"]]) == "[\\"a\\"]"',
	'"%s".format([null]) == "null"',
	'"%s".format([{"b": 1, "a": 2}]) == "{a: 2, b: 1}"',
	'"%s".format([{"b": 1, "a": 2}]) == "{\\"a\\":2, \\"b\\":1}"',
	'"%s".format([duration("90s")]) == "90s" && "%s".format([timestamp("2020-01-01T00:00:00Z")]) == "2020-01-01T00:00:00Z"',
	'self.numbers.isSorted() && self.halves.isSorted() && self.none.isSorted()',
	'self.numbers.sum() == 6 && self.halves.sum() == 4.0 && self.numbers.max() == 3 && self.tags.min() == "a" && self.none.sum() == 0',
	'self.none.max() == 1',
	'self.numbers.indexOf(2) == 1 && self.numbers.lastIndexOf(2) == 1 && self.numbers.indexOf(5) == -1',
	'sets.contains([1, 2, 3], [2, 3]) && sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects([1], [1, 2]) && !sets.intersects([1], [2])',
	'quantity("1Gi") == quantity("1024Mi") && quantity("1k").compareTo(quantity("1000")) == 0 && quantity("100m").asApproximateFloat() == 0.1',
	'quantity("50k").asInteger() == 50000 && quantity("1500m").isInteger() == false && sign(quantity("-1")) == -1 && quantity("1e3").asInteger() == 1000',
	'quantity("1.5").asInteger() == 1',
	'quantity("1Gi").add(quantity("1Gi")) == quantity("2Gi") && quantity("10").sub(3).asInteger() == 7 && quantity("10").add(3).isGreaterThan(quantity("12"))',
	'isQuantity("1.3G") && !isQuantity("1.3GG") && !isQuantity("") && isQuantity("+5") && isQuantity("1E") && isQuantity(".5") && !isQuantity("1 k")',
	'quantity("much") == quantity("1")',
	'isIP("10.0.0.1") && isIP("fd00::1") && !isIP("10.0.0.01") && !isIP("10.0.0.1/8") && !isIP("fe80::1%eth0")',
	'isIP("::ffff:10.0.0.1")',
	'ip("fd00::0001") == ip("fd00::1") && string(ip("fd00::0001")) == "fd00::1" && ip("10.0.0.1").family() == 4',
	'ip("127.0.0.1").isLoopback() && ip("0.0.0.0").isUnspecified() && ip("224.0.0.1").isLinkLocalMulticast() && ip("fe80::1").isLinkLocalUnicast()',
	'ip("10.0.0.1").isGlobalUnicast() && !ip("255.255.255.255").isGlobalUnicast() && !ip("224.0.0.1").isGlobalUnicast()',
	'isCIDR("10.0.0.0/8") && isCIDR("10.0.0.1/8") && !isCIDR("10.0.0.0") && !isCIDR("10.0.0.0/33") && !isCIDR("010.0.0.0/8") && !isCIDR("10.0.0.0/08")',
	'cidr("10.0.0.1/8").masked() == cidr("10.0.0.0/8") && cidr("10.0.0.1/8").ip() == ip("10.0.0.1") && string(cidr("10.0.0.1/8")) == "10.0.0.1/8"',
	'cidr("10.0.0.0/8").containsIP("10.1.2.3") && cidr("10.0.0.0/8").containsIP(ip("10.1.2.3")) && !cidr("10.0.0.0/8").containsIP("11.0.0.0")',
	'cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16") && !cidr("10.1.0.0/16").containsCIDR(cidr("10.0.0.0/8")) && !cidr("10.0.0.0/8").containsCIDR("fd00::/64")',
	'cidr("10.0.0.0/8").prefixLength() == 8 && cidr("fd00::/64").prefixLength() == 64',
	'isURL("https://a.example:80/p") && !isURL("://x") && isURL("/p/q") && !isURL("a b")',
	'url("https://user@a.example:8443/p%20q?x=1").getHost() == "a.example:8443"',
	'url("https://a.example:8443/p%20q?x=1").getHostname() == "a.example" && url("https://a.example:8443/").getPort() == "8443" && url("https://a.example/").getPort() == ""',
	'url("https://a.example/p q?x=1").getEscapedPath() == "/p%20q" && url("https://a.example/x").getScheme() == "https"',
	'url("https://a.example/?k=v&k=w").getQuery() == {"k": ["v", "w"]}',
	'url("https://a.example").getEscapedPath() == "" && url("https://[::1]:80/").getHostname() == "::1"',
	'url("https://a.example:443/").getHost() == "a.example:443"',
	'isSemver("1.2.3-rc.1+b") && !isSemver("v1.2.3") && !isSemver("1.2") && semver("1.2.3").minor() == 2',
	'semver("1.2.3-rc.1").isLessThan(semver("1.2.3")) && semver("1.10.0").compareTo(semver("1.9.0")) == 1 && semver("1.0.0-a.2").isLessThan(semver("1.0.0-a.10"))',
	'semver("v1.2", true) == semver("1.2.0")',
	'!format.dns1123Label().validate("abc").hasValue() && format.dns1123Label().validate("A").hasValue() && format.named("dns1123Label").hasValue()',
	'format.dns1035Label().validate("1a").hasValue() && !format.qualifiedName().validate("a.b/c").hasValue() && format.labelValue().validate("-").hasValue()',
	'!format.uuid().validate("123e4567-e89b-12d3-a456-426614174000").hasValue() && format.date().validate("2020-13-01").hasValue() && !format.byte().validate("YQ==").hasValue()',
	'timestamp("2020-02-03T04:05:06Z").getMonth() == 1 && timestamp("2020-02-03T04:05:06Z").getDate() == 3 && timestamp("2020-02-03T04:05:06Z").getDayOfWeek() == 1',
	'timestamp("2020-01-01T00:00:00Z") + duration("1h") == timestamp("2020-01-01T01:00:00Z") && duration("90m").getHours() == 1 && duration("90m").getMinutes() == 90',
	'7 / 2 == 3 && -7 / 2 == -3 && -7 % 3 == -1 && 2.5 + 1.5 == 4.0',
	'9223372036854775807 + 1 == 0',
	'1 / 0 == 1',
	'[1, 2][2] == 1',
	'{"a": 1}["b"] == 1',
	'(1 / 0 == 1) || true',
	'!((1 / 0 == 1) && false)',
	'int("12") == 12 && string(12) == "12" && double("1.5") == 1.5 && int(2.9) == 2 && string(true) == "true" && bool("true") && uint(3) == 3u',
	'int(self.labels.a) == 1',
	'1 < 2.5 && 2.5 > 1 && 3u > 2',
	'dyn(1) == dyn(1.0) && 1 in [1, 2] && "a" in {"a": 1} && !(3 in [1, 2])',
	'[1, 2, 3].exists_one(x, x > 2) && [1, 2, 3].all(x, x > 0) && [1, 2, 3].filter(x, x > 1).map(x, x * 2) == [4, 6] && [1, 2].map(x, x > 1, x + 1) == [3]',
	'{"a": 1, "b": 2}.all(k, k < "c") && {"a": 1}.exists(k, k == "a") && size({"a": 1}) == 1',
	'{"a": 1}.?b.orValue(5) == 5 && {"a": 1}[?"a"].value() == 1 && optional.of(1).hasValue() && !optional.none().hasValue()',
	'b"abc" == bytes("abc") && b"abc".size() == 3 && "\\u00e4" == "ä" && r"\\n".size() == 2',
	'type(1) == int && type("a") == string && type([]) == list && type(null) == null_type',
	'self == oldSelf',
	'self.parts[0].name == self.same[0].name && self.parts[0] == self.parts[0] && self.parts == self.parts',
	'self.labels == {"a": "b"} && self.labels.a == "b" && has(self.labels.a) && !has(self.labels.b)',
	'self.__namespace__ == "n" && self.a__dot__b == 1 && self.a__dash__b == 2 && self.a__slash__b == 3 && self.a__underscores__b == 4',
	'self.when > timestamp("2020-01-01T00:00:00Z") && self.when.getFullYear() == 2021 && self.long == duration("1h30m") && self.raw == b"abc" && self.ratio == 0.5',
	'self.whole == 2.0 && self.big == 9007199254740993 && self.port == 80 && self.named == "https"',
	'!has(self.nothing) && !has(self.absent) && self.?absent.orValue(7) == 7 && self.absent == 7',
	'self.embedded.metadata.name == "e" && self.embedded.kind == "K"',
];

const partsSchema: JsonObject = {
	type: 'array',
	maxItems: 3,
	items: { type: 'object', properties: { name: { type: 'string', maxLength: 5 } } },
};

/** A definition with one rule per expression, so that each is evaluated. */
const library = defined('library.example.com', {
	type: 'object',
	properties: {
		spec: {
			type: 'object',
			'x-kubernetes-validations': questions.map((rule) => ({ rule })),
			properties: {
				parts: partsSchema,
				same: partsSchema,
				labels: { type: 'object', maxProperties: 3, additionalProperties: { type: 'string', maxLength: 5 } },
				namespace: { type: 'string', maxLength: 5 },
				'a.b': { type: 'integer' },
				'a-b': { type: 'integer' },
				'a/b': { type: 'integer' },
				a__b: { type: 'integer' },
				when: { type: 'string', format: 'date-time' },
				long: { type: 'string', format: 'duration' },
				raw: { type: 'string', format: 'byte', maxLength: 10 },
				ratio: { type: 'number' },
				whole: { type: 'number' },
				big: { type: 'integer', format: 'int64' },
				port: { 'x-kubernetes-int-or-string': true },
				named: { 'x-kubernetes-int-or-string': true },
				nothing: { type: 'string', nullable: true, maxLength: 5 },
				absent: { type: 'integer' },
				numbers: { type: 'array', maxItems: 4, items: { type: 'integer' } },
				none: { type: 'array', maxItems: 4, items: { type: 'integer' } },
				halves: { type: 'array', maxItems: 4, items: { type: 'number' } },
				embedded: {
					type: 'object',
					'x-kubernetes-embedded-resource': true,
					'x-kubernetes-preserve-unknown-fields': true,
				},
				tags: { type: 'array', maxItems: 4, 'x-kubernetes-list-type': 'set', items: { type: 'string', maxLength: 5 } },
			},
		},
	},
});

const answers: readonly Step[] = [
	{
		title: 'the definition with all questions is made',
		method: 'POST',
		path: definitions,
		body: library,
		only: ['metadata.name', 'details.causes'],
	},
	{ title: 'its resource is served', path: '/apis/library.example.com/v1/widgets', until: 200, only: ['kind'] },
	{
		title: 'the questions that are not answered with yes',
		method: 'POST',
		path: '/apis/library.example.com/v1/widgets',
		body: widget('library.example.com', 'one', {
			parts: [{ name: 'a' }],
			same: [{ name: 'a' }],
			labels: { a: 'b' },
			namespace: 'n',
			'a.b': 1,
			'a-b': 2,
			'a/b': 3,
			a__b: 4,
			when: '2021-01-01T00:00:00Z',
			long: '1h30m',
			raw: 'YWJj',
			ratio: 0.5,
			whole: 2,
			big: 9007199254740993n,
			port: 80,
			named: 'https',
			nothing: null,
			embedded: { apiVersion: 'v1', kind: 'K', metadata: { name: 'e' } },
			tags: ['a', 'b'],
			numbers: [1, 2, 3],
			halves: [1.5, 2.5],
			none: [],
		}),
		only: ['details.causes'],
	},
];

export const rules: readonly Step[] = [
	{
		title: 'the definition is made',
		method: 'POST',
		path: definitions,
		body: defined(group, schema),
		only: ['metadata.name', 'details.causes'],
	},
	{ title: 'the resource is served', path, until: 200, only: ['kind', 'items'] },
	{
		title: 'what obeys all rules is made',
		method: 'POST',
		path,
		body: widget(group, 'one', {
			low: 1,
			fixed: 'a',
			fresh: 1,
			names: ['n1', 'nn'],
			parts: [{ name: 'a', weight: 3 }],
		}),
		only: ['kind', 'spec'],
	},
	refuse('a rule of two members is broken', { low: 20 }),
	refuse('a rule without a message names itself', { low: 1, mode: 'Both' }),
	refuse('a rule words its own message, and its reason', { low: 95, high: 99, mode: 'Fast' }),
	refuse('a rule whose words can not be found shows what it has', { low: 95, high: 99 }),
	refuse('a rule is about another field', { low: 1, high: 55 }),
	refuse('a rule about every element', { low: 1, names: ['n1', 'x'] }),
	refuse('a rule about one element', { low: 1, names: ['nn'] }),
	refuse('a rule about the values of a map', { low: 1, labels: { a: 'yes', b: 'no' } }),
	refuse('a rule that can not be evaluated', { low: 77, high: 80 }),
	refuse('a number where a rule looks at its type', { low: 1, port: 2000 }),
	refuse('a text where a rule looks at its type', { low: 1, port: 'https' }),
	refuse('a rule at an element of a list', { low: 1, parts: [{ name: 'a' }, { name: 'x' }] }),
	refuse('a rule of an object that was not there', { low: 1, fresh: 2 }),
	refuse('a quantity that is none', { low: 1, amount: 'much' }),
	refuse('a quantity that is too much', { low: 1, amount: '3Gi' }),
	{ ...refuse('a quantity that is fine', { low: 1, amount: '2000M' }), path: `${path}?dryRun=All`, only: ['kind'] },
	refuse('a prefix outside', { low: 1, cidr: '192.168.0.0/16' }),
	refuse('a prefix that is none', { low: 1, cidr: '10.0.0.0' }),
	{ ...refuse('a prefix that is fine', { low: 1, cidr: '10.1.0.0/16' }), path: `${path}?dryRun=All`, only: ['kind'] },
	refuse('an address of the other family', { low: 1, address: 'fd00::1' }),
	refuse('an address of this host', { low: 1, address: '127.0.0.1' }),
	refuse('a list that is not sorted', { low: 1, sorted: ['b', 'a'] }),
	refuse('a list that is too long together', { low: 1, sorted: ['aaaaa', 'bbbbb'] }),
	refuse('several rules at once', { low: 95, high: 55, mode: 'Both' }),
	refuse('the schema goes before the rules', { low: 20, high: 101, mode: 'Both' }),
	refuse('of the wrong type nothing is evaluated', { low: 'x', high: 55 }),
	{ title: 'a rule at the root', method: 'POST', path, body: widget(group, 'forbidden', { low: 1 }) },
	merge('a patch breaks a rule', { spec: { low: 20 } }),
	merge('what was never to change is changed', { spec: { fixed: 'b' } }),
	merge('what was never to change goes', { spec: { fixed: null } }, { only: ['spec.fixed'] }),
	merge('and comes again as another', { spec: { fixed: 'b' } }, { only: ['spec.fixed'] }),
	merge('what began may go on', { spec: { fresh: 5 } }, { only: ['spec.fresh'] }),
	merge('an element known by its key shrinks', { spec: { parts: [{ name: 'b' }, { name: 'a', weight: 2 }] } }),
	merge(
		'an element known by its key grows',
		{ spec: { parts: [{ name: 'b' }, { name: 'a', weight: 4 }] } },
		{ only: ['spec.parts'] },
	),
	merge('a status breaks a rule', { status: { count: -1 } }, { path: `${path}/one/status` }),
	merge('a status obeys', { status: { count: 3 } }, { path: `${path}/one/status`, only: ['status'] }),
	merge('a status counts down', { status: { count: 2 } }, { path: `${path}/one/status` }),
	{
		title: 'an applied object breaks a rule',
		method: 'PATCH',
		path: `${path}/applied?fieldManager=me`,
		contentType: 'application/apply-patch+yaml',
		body: widget(group, 'applied', { low: 20 }),
	},
	{
		title: 'a dry run breaks a rule',
		method: 'POST',
		path: `${path}?dryRun=All`,
		body: widget(group, 'dry', { low: 20 }),
		only: ['reason', 'code'],
	},
	definition('a rule that does not parse', { rule: 'self.low >' }),
	definition('a rule about a member that is not there', { rule: 'self.lost > 1' }),
	definition('a rule whose types do not fit', { rule: 'self.low + self.name == "a"' }),
	definition('a rule without a boolean result', { rule: 'self.low' }),
	definition('a rule that is empty', { rule: '' }),
	definition('a rule with an unknown variable', { rule: 'other > 1' }),
	definition('a rule with an unknown function', { rule: 'self.name.shout() == "A"' }),
	definition('a message that does not parse', { rule: 'self.low > 1', messageExpression: '"a" +' }),
	definition('a message that is no text', { rule: 'self.low > 1', messageExpression: 'self.low' }),
	definition('a rule of several lines without a message', { rule: 'self.low >\n1' }),
	definition('a rule of several lines with one', { rule: 'self.low >\n1', message: 'low' }, ['kind']),
	definition('a reason that there is not', { rule: 'self.low > 1', reason: 'Whim' }),
	definition('a path to a member that is not there', { rule: 'self.low > 1', fieldPath: '.lost' }),
	definition('a message of several lines', { rule: 'self.low > 1', message: 'a\nb' }, [
		...refused,
		'details.causes.0.message',
	]),
	{
		title: 'an old value where elements can not be distinguished',
		method: 'POST',
		path: definitions,
		body: defined('wrong.example.com', {
			type: 'object',
			properties: {
				spec: {
					type: 'array',
					maxItems: 3,
					items: { type: 'string', maxLength: 5, 'x-kubernetes-validations': [{ rule: 'self == oldSelf' }] },
				},
			},
		}),
		only: refused,
	},
	...[
		'self.name.upperAscii() == "A" && self.name.lowerAscii() == "a"',
		'self.name.split(",").size() == 1 && self.list.join(",") == "a,b" && self.name.replace("a", "b", 1) == "b"',
		'self.name.find("[a-z]+") == "a" && self.name.findAll("[a-z]").size() == 1',
		'self.name.substring(0, 1).trim().charAt(0) == "a" && self.name.indexOf("a") == 0 && self.name.lastIndexOf("a") == 0',
		'self.list.isSorted() && self.list.min() == "a" && self.list.max() == "b" && self.list.indexOf("a") == 0',
		'url("https://a.b/").getHost() == "a.b" && isURL(self.name)',
		'self.list.exists_one(x, x == "a") && self.list.filter(x, x != "b").map(x, x + "c") == ["ac"]',
		'format.dns1123Label().validate(self.name).hasValue()',
		'sets.contains(self.list, ["a"])',
		'self.?name.orValue("none") == "a" && self.list[?0].hasValue()',
		'"%s has %d".format([self.name, self.low]) == "a"',
		'semver("1.2.3").major() == 1',
		'timestamp("2020-01-01T00:00:00Z").getFullYear() == 2020 && duration("1h") > duration("1m")',
	].map(
		(rule): Step => ({
			title: `a rule of the library: ${rule}`,
			method: 'POST',
			path: `${definitions}?dryRun=All`,
			body: withRule({ rule }),
			only: ['kind', 'details.causes.0.field'],
		}),
	),
	...answers,
];
