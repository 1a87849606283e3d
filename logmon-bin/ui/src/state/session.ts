import { NetworkError, ProblemError } from '../api/http';
import { search, sendLine, type SearchQuery } from '../api/logs';
import type { LogEvent, Problem, SearchAnswer } from '../api/types';
import { Pump } from '../buffer/pump';
import { Ring } from '../buffer/ring';
import { BUFFER_ROWS, eventRow, rank, type Gap, type Row } from '../buffer/rows';
import { bounds, type Filter } from '../filter/filter';
import { writeFilter } from '../filter/url';
import { catalogue } from '../i18n';
import type { LogList, Older } from '../list/LogList';
import { backoff } from '../live/backoff';
import { LiveClient, type LiveState } from '../live/client';
import type { Batch } from '../live/messages';
import { Counting } from './figures';
import { useSession } from './store';

const LIVE_ROWS = 200;
const PAST_ROWS = 500;
const FIGURES_MS = 500;
const ANNOUNCE_MS = 5_000;
const BACK_MS = 3_000;

/**
 * What one page does: search, then follow live from where the search ended. Rows live in the ring
 * and are drawn by the list; the store holds only what React shows around them.
 */
export class Session {
  readonly ring = new Ring<Row>(BUFFER_ROWS);
  readonly violations: unknown[] = [];
  private list: LogList | null = null;
  private readonly counting = new Counting();
  private readonly pump = new Pump<Row>((rows) => this.take(rows), () => this.paint());
  private readonly live: LiveClient;
  private abort: AbortController | null = null;
  private shown: SearchQuery | null = null;
  private nextCursor: string | null = null;
  private olderState: Older = 'end';
  private addedCount = 0;
  private addedRank = -1;
  private lastEventTime: string | null = null;
  /** What a search found of other nodes may come live again: it was in the database before it was here. */
  private found = new Set<string>();
  private caughtUp = 0;
  private retryTimer = 0;

  constructor() {
    this.live = new LiveClient({
      batch: (batch) => this.batch(batch),
      dropped: (dropped) => this.gap({ count: dropped.count, byLevel: dropped.by_level ?? {}, reason: dropped.reason }),
      state: (live) => this.liveChanged(live),
      refused: (problem) => this.refused(problem),
      violation: (violation) => {
        this.violations.push(violation);
        console.error('live stream out of order', violation);
        useSession.setState({ violated: true });
      },
    });
    window.setInterval(() => this.refreshFigures(), FIGURES_MS);
    window.setInterval(() => this.announce(), ANNOUNCE_MS);
    window.addEventListener('online', () => this.live.tryNow());
  }

  attach(list: LogList | null): void {
    this.list = list;
    list?.setOlder(this.olderState);
    list?.reset();
  }

  /** The time of the newest row, which is where the view continues after a lost connection. */
  get continuesFrom(): string | null {
    return this.lastEventTime;
  }

  setFilter(change: Partial<Filter>, options: { readonly keepUrl?: boolean } = {}): void {
    const filter = { ...useSession.getState().filter, ...change };
    useSession.setState({ filter });
    if (!options.keepUrl) history.pushState(null, '', `${location.pathname}${writeFilter(filter)}`);
    void this.run();
  }

  /** Searches with the present filter. What is on screen stays until the answer is there, also when there is none. */
  async run(attempt = 0): Promise<void> {
    window.clearTimeout(this.retryTimer);
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    const { filter, language } = useSession.getState();
    const query: SearchQuery = {
      q: filter.q,
      levels: filter.levels,
      sources: filter.sources,
      ...bounds(filter),
      limit: filter.live ? LIVE_ROWS : PAST_ROWS,
    };
    useSession.setState({ searching: true });
    try {
      const answer = await search(query, language, abort.signal);
      if (this.abort === abort) this.show(filter, query, answer);
    } catch (error) {
      if (this.abort !== abort) return;
      useSession.setState({ searching: false });
      this.failed(error, attempt);
    }
  }

  async older(): Promise<void> {
    const query = this.shown;
    const cursor = this.nextCursor;
    if (!query || cursor === null || this.olderState !== 'more') return;
    this.setOlder('loading');
    try {
      const answer = await search({ ...query, limit: PAST_ROWS, cursor }, useSession.getState().language);
      // Another search, or a row that left the buffer meanwhile, would put a hole between these and the rest.
      if (this.shown !== query || this.isGone()) return;
      const rows = answer.logs.map(eventRow).reverse();
      this.counting.loaded(rows);
      const fitted = this.ring.unshift(rows);
      this.nextCursor = answer.next_cursor;
      // Also draws: the position stays, so nothing on screen moves.
      this.setOlder(fitted < rows.length ? 'gone' : answer.next_cursor === null ? 'end' : 'more');
    } catch (error) {
      if (this.shown !== query) return;
      this.setOlder('more');
      this.fail(error);
    }
  }

  cancelSearch(): boolean {
    if (!useSession.getState().searching) return false;
    this.abort?.abort();
    this.abort = null;
    useSession.setState({ searching: false });
    return true;
  }

  togglePause(): void {
    const { phase } = useSession.getState().live;
    if (phase === 'paused') this.live.resume('here');
    else this.live.pause();
  }

  resumeHead(): void {
    this.live.resume('head');
    this.list?.toEnd();
  }

  reconnectNow(): void {
    this.live.tryNow();
  }

  open(event: LogEvent | null): void {
    useSession.setState({ opened: event });
    if (event === null) this.list?.focus();
  }

  async sendTestLine(message: string): Promise<void> {
    try {
      await sendLine({ level: 'info', source: 'logmon-ui', message }, useSession.getState().language);
    } catch (error) {
      this.fail(error);
    }
  }

  private show(filter: Filter, query: SearchQuery, answer: SearchAnswer): void {
    this.pump.clear();
    this.counting.restart();
    const rows = answer.logs.map(eventRow).reverse();
    this.counting.loaded(rows);
    this.ring.reset(rows);
    this.found = new Set(answer.logs.map((log) => log.id));
    this.addedCount = 0;
    this.addedRank = -1;
    this.lastEventTime = answer.logs[0]?.timestamp ?? null;
    // Later pages go through the range as the server understood it, not through a `now` that has moved on.
    this.shown = filter.live ? query : { ...query, from: answer.range.from, to: answer.range.to };
    this.nextCursor = answer.next_cursor;
    this.setOlder(answer.next_cursor === null ? 'end' : 'more');
    this.list?.reset();
    useSession.setState({
      searching: false,
      answered: true,
      empty: rows.length === 0,
      matched: { count: answer.stats.matched, exact: answer.stats.matched_exact },
      partial: !answer.complete,
      violated: false,
      queryProblem: null,
      failure: null,
      opened: null,
    });
    this.refreshFigures();
    if (filter.live) this.live.start(filter, { cursor: answer.head_cursor });
    else this.live.stop();
  }

  private failed(error: unknown, attempt: number): void {
    if (error instanceof ProblemError && (error.problem.position !== undefined || error.problem.code.startsWith('query_'))) {
      useSession.setState({ queryProblem: error.problem });
      return;
    }
    this.fail(error);
    if (error instanceof NetworkError) this.retryTimer = window.setTimeout(() => void this.run(attempt + 1), backoff(attempt));
  }

  private fail(error: unknown): void {
    if (error instanceof ProblemError) useSession.setState({ failure: { kind: 'problem', problem: error.problem } });
    else if (error instanceof NetworkError) useSession.setState({ failure: { kind: 'network' } });
    else throw error;
  }

  private liveChanged(live: LiveState): void {
    const before = useSession.getState().live.phase;
    useSession.setState({ live });
    if (before === 'catching_up' && live.phase === 'live') {
      useSession.setState({ caughtUp: this.caughtUp });
      window.setTimeout(() => useSession.setState({ caughtUp: null }), BACK_MS);
    }
    if (live.phase !== 'catching_up') this.caughtUp = 0;
  }

  private refused(problem: Problem): void {
    useSession.setState({ failure: { kind: 'problem', problem } });
  }

  private batch(batch: Batch): void {
    this.caughtUp += batch.logs.length;
    const fresh = batch.logs.filter((log) => !this.found.delete(log.id));
    this.pump.add({ rows: fresh.map(eventRow), done: () => this.live.ack(batch.sub, batch.to_seq) });
  }

  private gap(gap: Gap): void {
    this.counting.skipped(gap.count);
    if (gap.count !== 0) this.pump.add({ rows: [{ kind: 'gap', gap }] });
  }

  private take(rows: readonly Row[]): void {
    for (const row of rows) {
      this.ring.push(row);
      if (row.kind === 'gap') continue;
      this.addedCount += 1;
      this.addedRank = Math.max(this.addedRank, rank(row.event.level));
      this.lastEventTime = row.event.timestamp;
    }
    this.counting.arrived(rows, useSession.getState().live.skew);
  }

  private paint(): void {
    if (this.isGone() && this.olderState !== 'gone') this.setOlder('gone');
    this.list?.added(this.addedCount, this.addedRank);
    this.addedCount = 0;
    this.addedRank = -1;
    if (useSession.getState().empty && this.ring.size > 0) {
      useSession.setState({ empty: false });
      this.refreshFigures();
    }
  }

  /** A full ring may have let its oldest go: the cursor for older rows no longer fits what is shown. */
  private isGone(): boolean {
    return this.ring.size === this.ring.capacity;
  }

  private setOlder(state: Older): void {
    this.olderState = state;
    this.list?.setOlder(state);
  }

  private refreshFigures(): void {
    const before = useSession.getState();
    const figures = this.counting.figures(this.ring.size);
    const same = (Object.keys(figures) as (keyof typeof figures)[]).every((key) => figures[key] === before.figures[key]);
    if (!same) useSession.setState({ figures, sources: this.counting.sources() });
  }

  private announce(): void {
    const { language, filter } = useSession.getState();
    const fresh = this.counting.takeFresh();
    if (fresh.count > 0 && filter.live) useSession.setState({ announcement: catalogue(language).live.announce(fresh.count, fresh.errors) });
  }
}
