/**
 * The newest rows, outside React. Rows keep the index they got when they arrived for as long as
 * they live (it grows at the newest end and may become negative at the oldest), so that a reader's
 * position can be held by an index and does not move when the other end of the buffer changes.
 */
export class Ring<T> {
  readonly capacity: number;
  private readonly slots: (T | undefined)[];
  private head = 0;
  private tail = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.slots = [];
  }

  /** Index of the oldest row. */
  get first(): number {
    return this.head;
  }

  /** One past the index of the newest row. */
  get end(): number {
    return this.tail;
  }

  get size(): number {
    return this.tail - this.head;
  }

  get(index: number): T | undefined {
    return index >= this.head && index < this.tail ? this.slots[this.slot(index)] : undefined;
  }

  /** Adds the newest row and returns the row that had to go for it, if any. */
  push(row: T): T | undefined {
    let dropped: T | undefined;
    if (this.size === this.capacity) {
      dropped = this.slots[this.slot(this.head)];
      this.head += 1;
    }
    this.slots[this.slot(this.tail)] = row;
    this.tail += 1;
    return dropped;
  }

  /** Puts older rows (oldest first) before the oldest; what does not fit stays out. Returns how many went in. */
  unshift(rows: readonly T[]): number {
    const fits = Math.min(rows.length, this.capacity - this.size);
    for (let taken = 0; taken < fits; taken += 1) {
      this.head -= 1;
      this.slots[this.slot(this.head)] = rows[rows.length - 1 - taken] as T;
    }
    return fits;
  }

  /** Starts again, with indexes that were not used before: a row index never means two rows. */
  reset(rows: readonly T[] = []): void {
    this.slots.length = 0;
    // A whole capacity further on, so that rows put before these reach no old index either.
    this.tail += this.capacity;
    this.head = this.tail;
    for (const row of rows) this.push(row);
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = this.head; index < this.tail; index += 1) yield this.slots[this.slot(index)] as T;
  }

  private slot(index: number): number {
    const rest = index % this.capacity;
    return rest < 0 ? rest + this.capacity : rest;
  }
}
