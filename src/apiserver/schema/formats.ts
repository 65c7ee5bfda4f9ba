import { parseAddress, parsePrefix } from '../../core/index.ts';

const succeeds = (attempt: () => void): boolean => {
	try {
		attempt();
		return true;
	} catch {
		return false;
	}
};

const address = (family: 'ipv4' | 'ipv6') => (text: string) =>
	succeeds(() => {
		if (parseAddress(text).family !== family) throw new Error('another family');
	});

/** The formats that a Kubernetes API server checks; other formats are ignored. */
const formats: Readonly<Record<string, (text: string) => boolean>> = {
	'date-time': (text) =>
		/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text)),
	date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)),
	ipv4: address('ipv4'),
	ipv6: address('ipv6'),
	cidr: (text) => succeeds(() => parsePrefix(text, 'clear')),
	mac: (text) => /^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/.test(text),
	uuid: (text) => /^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$/.test(text),
	byte: (text) => /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0,
};

/** Validates text by a format. */
export function validFormat(format: string, text: string): boolean {
	return Object.hasOwn(formats, format) ? (formats[format]?.(text) ?? true) : true;
}
