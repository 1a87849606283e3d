import { parseJson } from '../api/json';
import type { Level, LogEvent, Problem } from '../api/types';

// The messages of sub-protocol `logmon.v1`, as far as this page sends and reads them.

export const PROTOCOL = 'logmon.v1';

export type From = { readonly cursor: string } | 'head';
export type Mode = 'latest' | 'lossless';

export type ClientMessage =
  | {
      readonly t: 'subscribe';
      readonly sub: string;
      readonly q: string;
      readonly level: readonly Level[];
      readonly source: readonly string[];
      readonly from: From;
      readonly mode: Mode;
      readonly batch_ms: number;
    }
  | { readonly t: 'unsubscribe'; readonly sub: string }
  | { readonly t: 'pause'; readonly sub: string }
  | { readonly t: 'resume'; readonly sub: string; readonly from: 'here' | 'head' }
  | { readonly t: 'ack'; readonly sub: string; readonly seq: string }
  | { readonly t: 'ping'; readonly n: number };

interface Range {
  readonly sub: string;
  readonly epoch: number;
  readonly from_seq: string;
  readonly to_seq: string;
  readonly cursor: string;
}

export interface Batch extends Range {
  readonly t: 'batch';
  readonly n: number;
  readonly scanned: number;
  readonly matched: number;
  readonly logs: readonly LogEvent[];
}

export interface Dropped extends Range {
  readonly t: 'dropped';
  readonly count: number | null;
  readonly by_level: Readonly<Record<string, number>> | null;
  readonly reason: string;
}

export type ServerMessage =
  | { readonly t: 'welcome'; readonly session: string; readonly server: string; readonly time: string; readonly head: string; readonly heartbeat_ms?: number }
  | { readonly t: 'subscribed'; readonly sub: string; readonly epoch: number; readonly cursor: string; readonly query: string }
  | Batch
  | (Range & { readonly t: 'progress' })
  | { readonly t: 'caught_up'; readonly sub: string; readonly at_seq: string }
  | Dropped
  | { readonly t: 'lag'; readonly sub: string; readonly events: number; readonly ms: number; readonly state: string }
  | { readonly t: 'paused'; readonly sub: string; readonly cursor: string }
  | { readonly t: 'resumed'; readonly sub: string }
  | { readonly t: 'pong'; readonly n: number }
  | { readonly t: 'error'; readonly sub?: string; readonly problem: Problem }
  | { readonly t: 'bye'; readonly reason: string; readonly retry_ms: number };

/** null for what is not a message; a newer server may send kinds this page does not know, and they are passed over by name. */
export function parseMessage(text: string): ServerMessage | null {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || !('t' in value) || typeof value.t !== 'string') return null;
  return value as ServerMessage;
}
