import { endpoint } from '../api/http';
import type { Level, Problem } from '../api/types';
import { LAST_DELAY, backoff } from './backoff';
import { Continuity, type Violation } from './continuity';
import { PROTOCOL, parseMessage, type Batch, type ClientMessage, type Dropped, type From, type Mode, type ServerMessage } from './messages';

export interface LiveFilter {
  readonly q: string;
  readonly levels: readonly Level[];
  readonly sources: readonly string[];
}

export type Phase = 'off' | 'connecting' | 'live' | 'catching_up' | 'paused' | 'waiting';

export interface LiveState {
  readonly phase: Phase;
  /** When the connection was lost, and when it is tried again (browser clock). */
  readonly lostAt: number | null;
  readonly retryAt: number | null;
  readonly pausedAt: number | null;
  /** Server clock minus browser clock, in milliseconds. */
  readonly skew: number;
}

export const LIVE_OFF: LiveState = { phase: 'off', lostAt: null, retryAt: null, pausedAt: null, skew: 0 };

export interface LiveHandler {
  batch(batch: Batch): void;
  dropped(dropped: Pick<Dropped, 'count' | 'by_level' | 'reason'>): void;
  state(state: LiveState): void;
  refused(problem: Problem): void;
  violation(violation: Violation): void;
}

const SILENCE = 25_000;
const PING_AFTER = 10_000;
const TROUBLED = 10_000;
/** Two frames: sooner would not be seen sooner. */
const BATCH_MS = 30;

/**
 * Keeps one subscription alive on one WebSocket. What is wanted (filter and last cursor) outlives
 * the socket, so a new one continues where the old one ended: no hole and no repeat.
 */
export class LiveClient {
  private readonly handler: LiveHandler;
  private state: LiveState = LIVE_OFF;
  private socket: WebSocket | null = null;
  private filter: LiveFilter | null = null;
  private from: From = 'head';
  private sub = '';
  private count = 0;
  private subscribedHere = false;
  private attempt = 0;
  private retryTimer = 0;
  private watchTimer = 0;
  private lastHeard = 0;
  private violatedAt = -Infinity;
  private expiredAt = -Infinity;
  private readonly continuity = new Continuity();

  constructor(handler: LiveHandler) {
    this.handler = handler;
  }

  /** Follows `filter` from `from` on, in place of what was followed before. */
  start(filter: LiveFilter, from: From): void {
    this.filter = filter;
    this.from = from;
    if (this.state.phase === 'paused') this.set({ pausedAt: null });
    if (this.socket?.readyState === WebSocket.OPEN) this.subscribe('latest');
    else this.connect();
  }

  stop(): void {
    this.filter = null;
    this.close();
    window.clearTimeout(this.retryTimer);
    this.set({ ...LIVE_OFF });
  }

  pause(): void {
    if (this.state.phase !== 'live' && this.state.phase !== 'catching_up') return;
    this.send({ t: 'pause', sub: this.sub });
    this.set({ phase: 'paused', pausedAt: Date.now() });
  }

  resume(from: 'here' | 'head'): void {
    if (this.state.phase !== 'paused') return;
    this.set({ pausedAt: null });
    if (this.subscribedHere) {
      this.send({ t: 'resume', sub: this.sub, from });
      this.set({ phase: 'live' });
      return;
    }
    // The connection was lost during the pause: the position was kept here, not by the server.
    if (from === 'head') {
      this.from = 'head';
      this.handler.dropped({ count: null, by_level: null, reason: 'jumped' });
    }
    if (this.socket?.readyState === WebSocket.OPEN) this.subscribe('lossless');
    else this.connect();
  }

  /** Says that everything up to `seq` is applied; the server holds back what would be too much ahead of it. */
  ack(sub: string, seq: string): void {
    if (sub === this.sub && this.subscribedHere) this.send({ t: 'ack', sub, seq });
  }

  /** The reader does not want to wait, or the browser says that the network is back. */
  tryNow(): void {
    if (this.state.phase === 'waiting' && this.filter) this.connect();
  }

  private connect(): void {
    window.clearTimeout(this.retryTimer);
    this.close();
    const url = endpoint('ws');
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url, PROTOCOL);
    this.socket = socket;
    this.lastHeard = Date.now();
    if (this.state.phase !== 'paused') this.set({ phase: 'connecting', retryAt: null });
    socket.onopen = () => {
      if (this.state.phase === 'paused') this.set({ lostAt: null, retryAt: null });
      // After a loss everything since is wanted, however much: only a first start may jump ahead.
      else this.subscribe(this.state.lostAt === null ? 'latest' : 'lossless');
    };
    socket.onmessage = (message: MessageEvent<string>) => {
      this.lastHeard = Date.now();
      const parsed = parseMessage(message.data);
      if (parsed) this.receive(parsed);
    };
    socket.onclose = () => this.lost();
    this.watchTimer = window.setInterval(() => this.watch(), 2_500);
  }

  private subscribe(mode: Mode): void {
    if (!this.filter) return;
    if (this.subscribedHere) this.send({ t: 'unsubscribe', sub: this.sub });
    this.count += 1;
    this.sub = `m${this.count}`;
    this.subscribedHere = true;
    this.continuity.reset();
    const { q, levels, sources } = this.filter;
    this.send({ t: 'subscribe', sub: this.sub, q, level: levels, source: sources, from: this.from, mode, batch_ms: BATCH_MS });
    this.set({ phase: mode === 'lossless' ? 'catching_up' : this.state.phase === 'live' ? 'live' : 'connecting' });
  }

  private receive(message: ServerMessage): void {
    if (message.t === 'welcome') {
      this.set({ skew: Date.parse(message.time) - Date.now() });
      return;
    }
    if (message.t === 'bye') {
      this.lost(message.retry_ms);
      return;
    }
    if (message.t === 'pong') return;
    // What is still under way for a subscription this page gave up is not of interest.
    if (message.sub !== undefined && message.sub !== this.sub) return;
    switch (message.t) {
      case 'subscribed':
        this.attempt = 0;
        this.from = { cursor: message.cursor };
        if (this.state.phase === 'connecting') this.set({ phase: 'live', lostAt: null, retryAt: null });
        else this.set({ lostAt: null, retryAt: null });
        break;
      case 'batch':
      case 'progress':
      case 'dropped':
        if (!this.continues(message)) return;
        this.from = { cursor: message.cursor };
        if (message.t === 'batch') this.handler.batch(message);
        if (message.t === 'dropped') this.handler.dropped(message);
        break;
      case 'caught_up':
        // Back at the newest: from here a slow reader may be told about a jump again.
        if (this.state.phase === 'catching_up') {
          this.set({ phase: 'live' });
          this.subscribe('latest');
        }
        break;
      case 'error':
        this.refused(message.problem);
        break;
      default:
    }
  }

  private continues(message: Extract<ServerMessage, { from_seq: string }>): boolean {
    const violation = this.continuity.check(message.sub, message.epoch, message.from_seq, message.to_seq);
    if (!violation) return true;
    this.handler.violation(violation);
    // Once is an accident; a server that does it again and again must not be asked in a tight loop.
    const again = Date.now() - this.violatedAt < TROUBLED;
    this.violatedAt = Date.now();
    if (again) this.lost(LAST_DELAY);
    else this.subscribe('lossless');
    return false;
  }

  private refused(problem: Problem): void {
    this.subscribedHere = false;
    if (problem.code === 'cursor_expired' || problem.code === 'invalid_cursor') {
      this.handler.dropped({ count: null, by_level: null, reason: 'retention' });
      // The oldest may go before it is asked for; the newest cannot.
      const again = Date.now() - this.expiredAt < TROUBLED;
      this.expiredAt = Date.now();
      this.from = again || problem.oldest_cursor === undefined ? 'head' : { cursor: problem.oldest_cursor };
      this.subscribe('lossless');
      return;
    }
    this.handler.refused(problem);
  }

  private lost(wait?: number): void {
    this.close();
    if (!this.filter) return;
    const delay = wait ?? backoff(this.attempt);
    this.attempt += 1;
    const now = Date.now();
    const lostAt = this.state.lostAt ?? now;
    if (this.state.phase === 'paused') this.set({ lostAt });
    else this.set({ phase: 'waiting', lostAt, retryAt: now + delay });
    window.clearTimeout(this.retryTimer);
    this.retryTimer = window.setTimeout(() => this.connect(), delay);
  }

  private watch(): void {
    const silent = Date.now() - this.lastHeard;
    if (silent > SILENCE) this.lost();
    else if (silent > PING_AFTER) this.send({ t: 'ping', n: this.count });
  }

  private send(message: ClientMessage): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private close(): void {
    window.clearInterval(this.watchTimer);
    this.subscribedHere = false;
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close();
  }

  private set(change: Partial<LiveState>): void {
    this.state = { ...this.state, ...change };
    this.handler.state(this.state);
  }
}
