// The wire forms of the HTTP API, as far as this page reads them.

export const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'] as const;
export type Level = (typeof LEVELS)[number];

export type Json = string | number | bigint | boolean | null | readonly Json[] | { readonly [key: string]: Json };

export interface LogEvent {
  readonly id: string;
  /** Decimal string: 64 bits do not fit a JavaScript number. */
  readonly seq: string;
  readonly timestamp: string;
  readonly received: string;
  readonly tag: string;
  readonly level: Level | null;
  readonly source: string | null;
  readonly message: string;
  readonly metadata: { readonly [key: string]: Json };
  readonly encoding?: 'lossy';
}

export interface SearchAnswer {
  readonly logs: readonly LogEvent[];
  readonly next_cursor: string | null;
  readonly prev_cursor: string | null;
  readonly head_cursor: string;
  readonly complete: boolean;
  readonly reason?: string;
  readonly range: { readonly from: string; readonly to: string };
  readonly stats: {
    readonly matched: number;
    readonly matched_exact: boolean;
    readonly took_ms: number;
  };
}

export interface ProblemPosition {
  /** In UTF-16 code units, which is what JavaScript strings count. */
  readonly offset: number;
  readonly length: number;
  readonly line: number;
  readonly column: number;
}

export interface Problem {
  readonly code: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly hint?: string;
  readonly request_id?: string;
  readonly position?: ProblemPosition;
  readonly expected?: readonly string[];
  readonly oldest_cursor?: string;
}
