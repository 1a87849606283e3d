import { rank, type Row } from '../buffer/rows';
import { millis } from '../list/time';
import type { Figures } from './store';

/** The rate is taken over this time: long enough to be steady, short enough to be of now. */
const WINDOW = 3_000;

/** A source per request would fill the memory; a list that long helps nobody, and names can be typed. */
const MOST_SOURCES = 1_000;

/** The numbers of the status bar, counted as rows come and read a few times a second. */
export class Counting {
  private arrivals: { at: number; count: number }[] = [];
  private delay: number | null = null;
  private notShown = 0;
  private exact = true;
  private readonly seen = new Map<string, number>();
  /** For the spoken summary: since it was last read. */
  private fresh = 0;
  private freshErrors = 0;

  /** Rows of a search: they count as sources seen, not as arrivals. */
  loaded(rows: readonly Row[]): void {
    for (const row of rows) if (row.kind === 'event') this.source(row.event.source);
  }

  arrived(rows: readonly Row[], skew: number): void {
    let count = 0;
    let newest: string | null = null;
    for (const row of rows) {
      if (row.kind === 'gap') continue;
      count += 1;
      newest = row.event.received;
      if (rank(row.event.level) >= 4) this.freshErrors += 1;
      this.source(row.event.source);
    }
    if (newest === null) return;
    const now = Date.now();
    this.fresh += count;
    this.arrivals.push({ at: now, count });
    this.delay = Math.max(0, Math.round(now + skew - millis(newest)));
  }

  skipped(count: number | null): void {
    if (count === null) this.exact = false;
    else this.notShown += count;
  }

  /** Another search begins: what was not shown of the last one is of no interest any more. */
  restart(): void {
    this.arrivals = [];
    this.delay = null;
    this.notShown = 0;
    this.exact = true;
    // Names stay, to choose from; the numbers are of the rows of this search only.
    for (const source of this.seen.keys()) this.seen.set(source, 0);
  }

  figures(shown: number): Figures {
    const now = Date.now();
    this.arrivals = this.arrivals.filter(({ at }) => now - at <= WINDOW);
    const count = this.arrivals.reduce((sum, arrival) => sum + arrival.count, 0);
    const rate = Math.round((count * 1000) / WINDOW);
    return { rate, delay: rate > 0 ? this.delay : null, shown, notShown: this.notShown, notShownExact: this.exact };
  }

  sources(): ReadonlyMap<string, number> {
    return new Map([...this.seen].sort((a, b) => b[1] - a[1]));
  }

  takeFresh(): { readonly count: number; readonly errors: number } {
    const taken = { count: this.fresh, errors: this.freshErrors };
    this.fresh = 0;
    this.freshErrors = 0;
    return taken;
  }

  private source(source: string | null): void {
    if (source === null) return;
    const count = this.seen.get(source);
    if (count !== undefined || this.seen.size < MOST_SOURCES) this.seen.set(source, (count ?? 0) + 1);
  }
}
