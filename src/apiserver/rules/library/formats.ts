import { type Environment, Optional } from '@marcbachmann/cel-js';
import { validFormat } from '../../schema/formats.ts';

/** A named format of Kubernetes: maximum length and pattern. */
class Format {
	readonly most: number;
	readonly fits: (text: string) => boolean;
	readonly complaint: string;
	constructor(most: number, fits: (text: string) => boolean, complaint: string) {
		this.most = most;
		this.fits = fits;
		this.complaint = complaint;
	}
}

/** The type of `format` in `format.dns1123Label()`. */
class Formats {}

const matching = (most: number, pattern: RegExp, complaint: string): Format =>
	new Format(most, (text) => pattern.test(text), complaint);
const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const service = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const name = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

function isQualifiedName(text: string): boolean {
	const [first = '', second, ...more] = text.split('/');
	if (more.length > 0) return false;
	if (second === undefined) return first.length <= 63 && name.test(first);
	return first.length <= 253 && subdomain.test(first) && second.length <= 63 && name.test(second);
}

const formats: Readonly<Record<string, Format>> = {
	dns1123Label: matching(
		63,
		label,
		'a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "-"',
	),
	dns1123LabelPrefix: matching(63, /^[a-z0-9][-a-z0-9]*$/, 'must begin as a lowercase RFC 1123 label'),
	dns1123Subdomain: matching(253, subdomain, 'a lowercase RFC 1123 subdomain must consist of labels and dots'),
	dns1123SubdomainPrefix: matching(253, /^[a-z0-9][-a-z0-9.]*$/, 'must begin as a lowercase RFC 1123 subdomain'),
	dns1035Label: matching(63, service, 'a DNS-1035 label must begin with a letter'),
	dns1035LabelPrefix: matching(63, /^[a-z][-a-z0-9]*$/, 'must begin as a DNS-1035 label'),
	qualifiedName: new Format(
		317,
		isQualifiedName,
		'a qualified name has a name part, and before a slash a DNS subdomain',
	),
	labelValue: new Format(
		63,
		(text) => text === '' || name.test(text),
		'a valid label must be empty or consist of alphanumeric characters, "-", "_" or "."',
	),
	uri: new Format(Number.POSITIVE_INFINITY, (text) => URL.canParse(text) || text.startsWith('/'), 'invalid URI'),
	uuid: new Format(36, (text) => validFormat('uuid', text), 'does not match the form of a UUID'),
	byte: new Format(Number.POSITIVE_INFINITY, (text) => validFormat('byte', text), 'invalid base64'),
	date: new Format(10, (text) => validFormat('date', text), 'invalid date'),
	datetime: new Format(Number.POSITIVE_INFINITY, (text) => validFormat('date-time', text), 'invalid datetime'),
};

/** Kubernetes' `format.NAME().validate(text)`: the errors, or an empty value. */
export function registerFormats(environment: Environment): void {
	environment
		.registerType('kubernetes.NamedFormat', Format)
		.registerType('kubernetes.Formats', Formats)
		.registerConstant('format', 'kubernetes.Formats', new Formats());
	for (const [name, format] of Object.entries(formats))
		environment.registerFunction(`kubernetes.Formats.${name}(): kubernetes.NamedFormat`, () => format);
	environment.registerFunction(
		'kubernetes.Formats.named(string): optional<kubernetes.NamedFormat>',
		(_formats: Formats, name: string) => {
			const format = Object.hasOwn(formats, name) ? formats[name] : undefined;
			return format === undefined ? Optional.none() : Optional.of(format);
		},
	);
	environment.registerFunction(
		'kubernetes.NamedFormat.validate(string): optional<list<string>>',
		({ most, fits, complaint }: Format, text: string) => {
			const complaints = [
				...(text.length > most ? [`must be no more than ${most} characters`] : []),
				...(fits(text) ? [] : [complaint]),
			];
			return complaints.length === 0 ? Optional.none() : Optional.of(complaints);
		},
	);
}
