/**
 * Values under names, held by several users (`hold`) or by one (`set`), with what changed since
 * `begin`.
 */
export class Tracked<Value> {
	readonly #values = new Map<string, { value: Value; users: number }>();
	/** What was there at `begin`, of names that were touched since. */
	readonly #before = new Map<string, Value | undefined>();

	readonly #isSame: (left: Value, right: Value) => boolean;

	/** `isSame`: two values under one name are the same; by default by identity. */
	constructor(isSame: (left: Value, right: Value) => boolean = Object.is) {
		this.#isSame = isSame;
	}

	get(name: string): Value | undefined {
		return this.#values.get(name)?.value;
	}

	*entries(): Iterable<readonly [string, Value]> {
		for (const [name, { value }] of this.#values) yield [name, value];
	}

	/** Forgets everything. */
	clear(): void {
		this.#values.clear();
		this.#before.clear();
	}

	begin(): void {
		this.#before.clear();
	}

	hold(name: string, value: Value): void {
		this.#touch(name);
		const entry = this.#values.get(name);
		if (entry === undefined) this.#values.set(name, { value, users: 1 });
		else entry.users += 1;
	}

	release(name: string, _value?: Value): void {
		this.#touch(name);
		const entry = this.#values.get(name);
		if (entry === undefined) return;
		entry.users -= 1;
		if (entry.users <= 0) this.#values.delete(name);
	}

	set(name: string, value: Value): void {
		this.#touch(name);
		this.#values.set(name, { value, users: 1 });
	}

	delete(name: string): void {
		this.#touch(name);
		this.#values.delete(name);
	}

	/** Names that are there with a value that was not. */
	added(): (readonly [string, Value])[] {
		return [...this.#before].flatMap(([name, before]) => {
			const now = this.#values.get(name)?.value;
			return now === undefined || (before !== undefined && this.#isSame(now, before)) ? [] : [[name, now] as const];
		});
	}

	/** Names that were there with a value that is not any more. */
	removed(): (readonly [string, Value])[] {
		return [...this.#before].flatMap(([name, before]) =>
			before === undefined || this.#isStill(name, before) ? [] : [[name, before] as const],
		);
	}

	#isStill(name: string, before: Value): boolean {
		const now = this.#values.get(name)?.value;
		return now !== undefined && this.#isSame(now, before);
	}

	#touch(name: string): void {
		if (!this.#before.has(name)) this.#before.set(name, this.#values.get(name)?.value);
	}
}
