/**
 * Reads the TAP output of ava, line by line, and counts. `onResult` is called once per test with `{
 * outcome: 'passed' | 'failed' | 'skipped' | 'todo', title, detail }`; `detail` contains log lines
 * and the failure.
 */
export class TapReader {
	passed = 0;
	failed = 0;
	skipped = 0;
	/** Did the plan line arrive? Without it the runner crashed. */
	ended = false;
	#onResult;
	#rest = '';
	#current;

	constructor(onResult) {
		this.#onResult = onResult;
	}

	push(text) {
		const lines = (this.#rest + text).split('\n');
		this.#rest = lines.pop() ?? '';
		for (const line of lines) this.#line(line);
	}

	end() {
		if (this.#rest !== '') this.#line(this.#rest);
		this.#rest = '';
		this.#finish();
	}

	#line(line) {
		const result = /^(not )?ok \d+ - (.*?)(?: # (SKIP|TODO).*)?$/.exec(line);
		if (result !== null) {
			this.#finish();
			const [, not, title = '', directive] = result;
			const outcome =
				directive === 'SKIP' ? 'skipped' : directive === 'TODO' ? 'todo' : not === undefined ? 'passed' : 'failed';
			this.#current = { outcome, title, detail: [] };
			return;
		}
		if (/^1\.\.\d+/.test(line)) {
			this.#finish();
			this.ended = true;
			return;
		}
		if (this.#current !== undefined && line !== '') this.#current.detail.push(line);
	}

	#finish() {
		const current = this.#current;
		this.#current = undefined;
		if (current === undefined) return;
		if (current.outcome === 'passed') this.passed++;
		else if (current.outcome === 'failed') this.failed++;
		// An announced test (todo) counts as skipped.
		else this.skipped++;
		this.#onResult(current);
	}
}
