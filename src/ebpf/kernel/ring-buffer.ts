import { mapMemory, type SharedMemory } from '../../linux/index.ts';
import type { BpfMap } from './map.ts';

/**
 * `BPF_RINGBUF_BUSY_BIT`: the record is being written; `BPF_RINGBUF_DISCARD_BIT`: it does not
 * count.
 */
const [busyBit, discardBit] = [0x80000000, 0x40000000];
const headerBytes = 8;
/**
 * Page size of the architectures that Node.js runs on with 4 KiB pages; the map's mmap refuses
 * other sizes.
 */
const pageBytes = 4096;

/**
 * Reads what programs put into a ring buffer (kernel 5.8). The kernel maps the data twice in a row,
 * so that a record is never split. When the buffer is full, new records are lost and programs go
 * on.
 */
export class RingBuffer {
	readonly #consumer: SharedMemory;
	readonly #producer: SharedMemory;
	readonly #sizeBytes: number;

	/** @throws SystemCallError */
	constructor(map: BpfMap) {
		this.#sizeBytes = map.definition.entries;
		this.#consumer = mapMemory(map.fd, 0, pageBytes, true);
		this.#producer = mapMemory(map.fd, pageBytes, pageBytes + 2 * this.#sizeBytes, false);
	}

	/** Hands on copies of complete records, at most `most`; gives their number. */
	read(most: number, onRecord: (record: Uint8Array) => void): number {
		const { view } = this.#producer;
		let at = this.#consumer.view.getBigUint64(0, true);
		const end = view.getBigUint64(0, true);
		let count = 0;
		while (at < end && count < most) {
			const start = pageBytes + Number(at & BigInt(this.#sizeBytes - 1));
			const header = view.getUint32(start, true);
			if ((header & busyBit) !== 0) break;
			const length = header & ~(busyBit | discardBit);
			if ((header & discardBit) === 0) {
				count++;
				onRecord(new Uint8Array(view.buffer, view.byteOffset + start + headerBytes, length).slice());
			}
			at += BigInt((length + headerBytes + 7) & ~7);
			this.#consumer.view.setBigUint64(0, at, true);
		}
		return count;
	}

	close(): void {
		this.#consumer.unmap();
		this.#producer.unmap();
	}
}
