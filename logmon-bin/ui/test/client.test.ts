import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LiveClient, type LiveState } from '../src/live/client';
import type { Batch, ClientMessage } from '../src/live/messages';

/** A socket whose other end is the test. */
class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  sent: ClientMessage[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;

  constructor() {
    FakeSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientMessage);
  }

  close(): void {
    this.readyState = 3;
  }

  open(): void {
    this.readyState = FakeSocket.OPEN;
    this.onopen?.();
  }

  fail(): void {
    this.readyState = 3;
    this.onclose?.();
  }

  gets(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

const FILTER = { q: '', levels: [], sources: [] };

function setUp() {
  const seen = { state: {} as LiveState, batches: [] as Batch[], drops: [] as string[], refused: [] as string[], violations: 0 };
  const client = new LiveClient({
    batch: (batch) => seen.batches.push(batch),
    dropped: (dropped) => seen.drops.push(dropped.reason),
    state: (state) => { seen.state = state; },
    refused: (problem) => seen.refused.push(problem.code),
    violation: () => { seen.violations += 1; },
  });
  return { client, seen };
}

function last(): FakeSocket {
  return FakeSocket.all.at(-1) as FakeSocket;
}

function subscription(socket: FakeSocket): Extract<ClientMessage, { t: 'subscribe' }> {
  return socket.sent.filter((message) => message.t === 'subscribe').at(-1) as Extract<ClientMessage, { t: 'subscribe' }>;
}

function batch(socket: FakeSocket, from: number, to: number): void {
  socket.gets({ t: 'batch', sub: subscription(socket).sub, epoch: 1, from_seq: String(from), to_seq: String(to), cursor: `c${to}`, logs: [] });
}

function goLive() {
  const made = setUp();
  made.client.start(FILTER, { cursor: 'c0' });
  last().open();
  last().gets({ t: 'subscribed', sub: subscription(last()).sub, epoch: 1, cursor: 'c0', query: '' });
  return made;
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  vi.stubGlobal('WebSocket', FakeSocket);
  vi.stubGlobal('document', { baseURI: 'http://logs.example/base/' });
  vi.stubGlobal('window', globalThis);
  vi.spyOn(Math, 'random').mockReturnValue(0);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('live client', () => {
  it('subscribes from the cursor of the search', () => {
    const { seen } = goLive();
    expect(subscription(last())).toMatchObject({ from: { cursor: 'c0' }, mode: 'latest' });
    expect(seen.state.phase).toBe('live');
  });

  it('continues after a loss from the last cursor, without leaving anything out, and only then may skip again', () => {
    const { seen } = goLive();
    batch(last(), 1, 10);
    last().fail();
    expect(seen.state).toMatchObject({ phase: 'waiting' });
    vi.advanceTimersByTime(250);
    expect(FakeSocket.all).toHaveLength(2);
    last().open();
    expect(subscription(last())).toMatchObject({ from: { cursor: 'c10' }, mode: 'lossless' });
    expect(seen.state.phase).toBe('catching_up');
    last().gets({ t: 'subscribed', sub: subscription(last()).sub, epoch: 1, cursor: 'c10', query: '' });
    batch(last(), 11, 20);
    last().gets({ t: 'caught_up', sub: subscription(last()).sub, at_seq: '20' });
    expect(subscription(last())).toMatchObject({ from: { cursor: 'c20' }, mode: 'latest' });
    expect(seen.state).toMatchObject({ phase: 'live', lostAt: null });
  });

  it('waits longer each time, and not at all when asked', () => {
    const { client } = goLive();
    last().fail();
    for (const wait of [250, 500, 1000]) {
      const before = FakeSocket.all.length;
      vi.advanceTimersByTime(wait - 1);
      expect(FakeSocket.all).toHaveLength(before);
      vi.advanceTimersByTime(1);
      expect(FakeSocket.all).toHaveLength(before + 1);
      last().fail();
    }
    const before = FakeSocket.all.length;
    client.tryNow();
    expect(FakeSocket.all).toHaveLength(before + 1);
  });

  it('takes a server that says when it is back at its word', () => {
    goLive();
    last().gets({ t: 'bye', reason: 'shutdown', retry_ms: 3000 });
    vi.advanceTimersByTime(2999);
    expect(FakeSocket.all).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('gives up a connection that is silent for 25 s, after asking', () => {
    const { seen } = goLive();
    vi.advanceTimersByTime(12_500);
    expect(last().sent.at(-1)?.t).toBe('ping');
    vi.advanceTimersByTime(15_000);
    expect(seen.state.lostAt).not.toBeNull();
  });

  it('reports a hole, takes nothing of what follows it, and starts again from the last sure cursor', () => {
    const { seen } = goLive();
    batch(last(), 1, 10);
    batch(last(), 12, 20);
    expect(seen.violations).toBe(1);
    expect(seen.batches).toHaveLength(1);
    expect(last().sent.some((message) => message.t === 'unsubscribe')).toBe(true);
    expect(subscription(last())).toMatchObject({ from: { cursor: 'c10' }, mode: 'lossless' });
  });

  it('does not run in circles with a server that keeps breaking the order', () => {
    const { seen } = goLive();
    batch(last(), 1, 10);
    batch(last(), 12, 20);
    batch(last(), 11, 20);
    batch(last(), 30, 40);
    expect(seen.violations).toBe(2);
    expect(seen.state.phase).toBe('waiting');
    vi.advanceTimersByTime(9_999);
    expect(FakeSocket.all).toHaveLength(1);
    vi.advanceTimersByTime(1);
    last().open();
    expect(subscription(last())).toMatchObject({ from: { cursor: 'c20' } });
  });

  it('passes over what still comes for a subscription it gave up', () => {
    const { client, seen } = goLive();
    const old = subscription(last()).sub;
    client.start({ ...FILTER, q: 'x' }, { cursor: 'c5' });
    last().gets({ t: 'batch', sub: old, epoch: 1, from_seq: '1', to_seq: '9', cursor: 'c9', logs: [] });
    expect(seen.batches).toHaveLength(0);
    client.ack(old, '9');
    expect(last().sent.some((message) => message.t === 'ack')).toBe(false);
  });

  it('pauses and resumes on the server', () => {
    const { client, seen } = goLive();
    client.pause();
    expect(last().sent.at(-1)).toMatchObject({ t: 'pause' });
    expect(seen.state.phase).toBe('paused');
    client.resume('here');
    expect(last().sent.at(-1)).toMatchObject({ t: 'resume', from: 'here' });
    expect(seen.state.phase).toBe('live');
  });

  it('keeps the position of a pause over a lost connection', () => {
    const { client, seen } = goLive();
    batch(last(), 1, 10);
    client.pause();
    last().fail();
    expect(seen.state.phase).toBe('paused');
    vi.advanceTimersByTime(250);
    last().open();
    expect(last().sent).toEqual([]);
    client.resume('here');
    expect(subscription(last())).toMatchObject({ from: { cursor: 'c10' }, mode: 'lossless' });
  });

  it('says so when the position is older than what is kept', () => {
    const { seen } = goLive();
    const { sub } = subscription(last());
    last().gets({ t: 'error', sub, problem: { code: 'cursor_expired', title: 't', status: 410, oldest_cursor: 'c7' } });
    expect(seen.drops).toEqual(['retention']);
    expect(subscription(last())).toMatchObject({ from: { cursor: 'c7' } });
    last().gets({ t: 'error', sub: subscription(last()).sub, problem: { code: 'cursor_expired', title: 't', status: 410, oldest_cursor: 'c8' } });
    expect(subscription(last())).toMatchObject({ from: 'head' });
  });

  it('shows any other refusal', () => {
    const { seen } = goLive();
    last().gets({ t: 'error', sub: subscription(last()).sub, problem: { code: 'overloaded', title: 't', status: 503 } });
    expect(seen.refused).toEqual(['overloaded']);
  });

  it('stays off when it was stopped', () => {
    const { client, seen } = goLive();
    client.stop();
    vi.advanceTimersByTime(60_000);
    expect(FakeSocket.all).toHaveLength(1);
    expect(seen.state.phase).toBe('off');
  });
});
