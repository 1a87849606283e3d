/**
 * Brings what arrived into the buffer, once per frame and for a few milliseconds at most; what is
 * left waits for the next frame. A hidden page has no frames, and does it once per second.
 */

export const FRAME_BUDGET = 3;
const SLICE = 200;
const HIDDEN_MS = 1_000;

export interface Packet<T> {
  readonly rows: readonly T[];
  /** Called when the last row of the packet is in the buffer. */
  readonly done?: () => void;
}

export class Pump<T> {
  private queue: Packet<T>[] = [];
  private offset = 0;
  private frame = 0;
  private timer = 0;
  private readonly apply: (rows: readonly T[]) => void;
  private readonly paint: () => void;

  constructor(apply: (rows: readonly T[]) => void, paint: () => void) {
    this.apply = apply;
    this.paint = paint;
    document.addEventListener('visibilitychange', () => {
      if (this.queue.length === 0) return;
      this.cancel();
      this.schedule();
    });
  }

  add(packet: Packet<T>): void {
    this.queue.push(packet);
    this.schedule();
  }

  /** Forgets what waits: it belonged to a search that is no longer shown. */
  clear(): void {
    this.queue = [];
    this.offset = 0;
    this.cancel();
  }

  private schedule(): void {
    if (this.frame !== 0 || this.timer !== 0) return;
    if (document.hidden) this.timer = window.setTimeout(() => this.run(Infinity), HIDDEN_MS);
    else this.frame = requestAnimationFrame(() => this.run(FRAME_BUDGET));
  }

  private cancel(): void {
    cancelAnimationFrame(this.frame);
    window.clearTimeout(this.timer);
    this.frame = 0;
    this.timer = 0;
  }

  private run(budget: number): void {
    this.frame = 0;
    this.timer = 0;
    const until = performance.now() + budget;
    let taken = 0;
    do {
      const packet = this.queue[taken];
      if (!packet) break;
      const slice = packet.rows.slice(this.offset, this.offset + SLICE);
      this.apply(slice);
      this.offset += slice.length;
      if (this.offset >= packet.rows.length) {
        packet.done?.();
        this.offset = 0;
        taken += 1;
      }
    } while (performance.now() < until);
    this.queue.splice(0, taken);
    this.paint();
    if (this.queue.length > 0) this.schedule();
  }
}
