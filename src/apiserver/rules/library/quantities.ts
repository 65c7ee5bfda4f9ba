import type { Environment } from '@marcbachmann/cel-js';

/** A Kubernetes quantity as an exact number of billionths. */
class Quantity {
	readonly nanos: bigint;
	constructor(nanos: bigint) {
		this.nanos = nanos;
	}
}

/** A version as defined by https://semver.org. */
class Semver {
	readonly numbers: readonly bigint[];
	readonly before: string;
	constructor(numbers: readonly bigint[], before: string) {
		this.numbers = numbers;
		this.before = before;
	}
}

const unit = 1_000_000_000n;
const scales: Readonly<Record<string, bigint>> = {
	n: 1n,
	u: 1000n,
	m: 1_000_000n,
	'': unit,
	...Object.fromEntries([...'kMGTPE'].map((letter, index) => [letter, unit * 1000n ** BigInt(index + 1)])),
	...Object.fromEntries(
		['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'].map((letters, index) => [letters, unit * 1024n ** BigInt(index + 1)]),
	),
};

/**
 * Parses `1.5Gi`, `100m`, `2e3`; fractions below one billionth are rounded away from zero.
 * `undefined`: not a quantity
 */
function parseQuantity(text: string): Quantity | undefined {
	const match = /^([+-]?)(\d+\.?\d*|\.\d+)(?:([eE][+-]?\d{1,3})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)$/.exec(text);
	if (match === null) return undefined;
	const [, sign = '', number = '', exponent, suffix = ''] = match;
	const [whole = '', fraction = ''] = number.split('.');
	const power = exponent === undefined ? 0 : Number(exponent.slice(1));
	let [above, below] = [
		BigInt(`${whole}${fraction}` || '0') * (scales[suffix] ?? unit),
		10n ** BigInt(fraction.length),
	];
	if (power >= 0) above *= 10n ** BigInt(power);
	else below *= 10n ** BigInt(-power);
	const nanos = above / below + (above % below === 0n ? 0n : 1n);
	return new Quantity(sign === '-' ? -nanos : nanos);
}

/** @throws Error */
function quantity(text: string): Quantity {
	const value = parseQuantity(text);
	if (value === undefined)
		throw new Error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
	return value;
}

const isWhole = ({ nanos }: Quantity): boolean =>
	nanos % unit === 0n && nanos / unit < 2n ** 63n && nanos / unit >= -(2n ** 63n);
const sign = (value: bigint): bigint => (value > 0n ? 1n : value < 0n ? -1n : 0n);

function parseSemver(text: string): Semver | undefined {
	const match =
		/^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?$/.exec(
			text,
		);
	return match === null
		? undefined
		: new Semver(
				[match[1], match[2], match[3]].map((part) => BigInt(part ?? '0')),
				match[4] ?? '',
			);
}

/** Normalizes versions such as `v1.2` and `01.2.0`. */
function tidied(text: string): string {
	const [, numbers = '', rest = ''] = /^v?([\d.]*)(.*)$/.exec(text.trim()) ?? [];
	const parts = numbers.split('.').map((part) => part.replace(/^0+(?=\d)/, ''));
	return `${[...parts, '0', '0'].slice(0, Math.max(3, parts.length)).join('.')}${rest}`;
}

function semver(text: string): Semver {
	const value = parseSemver(text);
	if (value === undefined) throw new Error(`not a semantic version: ${text}`);
	return value;
}

/** Precedence as in https://semver.org, 11. */
function compareSemver(one: Semver, other: Semver): bigint {
	for (const [index, number] of one.numbers.entries()) {
		const difference = number - (other.numbers[index] ?? 0n);
		if (difference !== 0n) return sign(difference);
	}
	if (one.before === other.before) return 0n;
	if (one.before === '' || other.before === '') return one.before === '' ? 1n : -1n;
	const [left, right] = [one.before.split('.'), other.before.split('.')];
	for (const [index, part] of left.entries()) {
		const against = right[index];
		if (against === undefined) return 1n;
		if (part === against) continue;
		const [isNumber, againstNumber] = [/^\d+$/.test(part), /^\d+$/.test(against)];
		if (isNumber && againstNumber) return sign(BigInt(part) - BigInt(against));
		if (isNumber !== againstNumber) return isNumber ? -1n : 1n;
		return part < against ? -1n : 1n;
	}
	return -1n;
}

/** Kubernetes' `quantity()` and `semver()`. */
export function registerQuantities(environment: Environment): void {
	const add = (signature: string, handler: (...values: never[]) => unknown) =>
		environment.registerFunction(signature, handler as (...values: unknown[]) => unknown);
	environment.registerType('kubernetes.Quantity', Quantity).registerType('kubernetes.Semver', Semver);
	environment.registerOperator(
		'kubernetes.Quantity == kubernetes.Quantity',
		(one: Quantity, other: Quantity) => one.nanos === other.nanos,
	);
	environment.registerOperator(
		'kubernetes.Semver == kubernetes.Semver',
		(one: Semver, other: Semver) => compareSemver(one, other) === 0n,
	);
	add('isQuantity(string): bool', (text: string) => parseQuantity(text) !== undefined);
	add('quantity(string): kubernetes.Quantity', quantity);
	add('sign(kubernetes.Quantity): int', ({ nanos }: Quantity) => sign(nanos));
	add('kubernetes.Quantity.isInteger(): bool', isWhole);
	add('kubernetes.Quantity.asInteger(): int', (value: Quantity) => {
		if (!isWhole(value)) throw new Error('cannot convert value to integer');
		return value.nanos / unit;
	});
	add('kubernetes.Quantity.asApproximateFloat(): double', ({ nanos }: Quantity) => Number(nanos) / Number(unit));
	add(
		'kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool',
		(one: Quantity, other: Quantity) => one.nanos > other.nanos,
	);
	add(
		'kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool',
		(one: Quantity, other: Quantity) => one.nanos < other.nanos,
	);
	add('kubernetes.Quantity.compareTo(kubernetes.Quantity): int', (one: Quantity, other: Quantity) =>
		sign(one.nanos - other.nanos),
	);
	add(
		'kubernetes.Quantity.add(kubernetes.Quantity): kubernetes.Quantity',
		(one: Quantity, other: Quantity) => new Quantity(one.nanos + other.nanos),
	);
	add(
		'kubernetes.Quantity.add(int): kubernetes.Quantity',
		(one: Quantity, other: bigint) => new Quantity(one.nanos + other * unit),
	);
	add(
		'kubernetes.Quantity.sub(kubernetes.Quantity): kubernetes.Quantity',
		(one: Quantity, other: Quantity) => new Quantity(one.nanos - other.nanos),
	);
	add(
		'kubernetes.Quantity.sub(int): kubernetes.Quantity',
		(one: Quantity, other: bigint) => new Quantity(one.nanos - other * unit),
	);
	add('isSemver(string): bool', (text: string) => parseSemver(text) !== undefined);
	add('semver(string): kubernetes.Semver', semver);
	add(
		'isSemver(string, bool): bool',
		(text: string, tolerant: boolean) => parseSemver(tolerant ? tidied(text) : text) !== undefined,
	);
	add('semver(string, bool): kubernetes.Semver', (text: string, tolerant: boolean) =>
		semver(tolerant ? tidied(text) : text),
	);
	for (const [index, name] of ['major', 'minor', 'patch'].entries())
		add(`kubernetes.Semver.${name}(): int`, ({ numbers }: Semver) => numbers[index] ?? 0n);
	add(
		'kubernetes.Semver.isLessThan(kubernetes.Semver): bool',
		(one: Semver, other: Semver) => compareSemver(one, other) < 0n,
	);
	add(
		'kubernetes.Semver.isGreaterThan(kubernetes.Semver): bool',
		(one: Semver, other: Semver) => compareSemver(one, other) > 0n,
	);
	add('kubernetes.Semver.compareTo(kubernetes.Semver): int', compareSemver);
}
