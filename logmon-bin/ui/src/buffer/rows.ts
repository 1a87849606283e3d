import { LEVELS, type Level, type LogEvent } from '../api/types';

export const BUFFER_ROWS = 100_000;

/** Rows that the server says it did not deliver. */
export interface Gap {
  /** null where the server cannot know the number. */
  readonly count: number | null;
  readonly byLevel: Readonly<Record<string, number>>;
  readonly reason: string;
}

export type Row =
  | { readonly kind: 'event'; readonly event: LogEvent }
  | { readonly kind: 'gap'; readonly gap: Gap };

export function eventRow(event: LogEvent): Row {
  return { kind: 'event', event };
}

const RANK: ReadonlyMap<string, number> = new Map(LEVELS.map((level, rank) => [level, rank]));

/** -1 for an event without a level, else 0 (TRACE) to 5 (FATAL). */
export function rank(level: Level | null): number {
  return level === null ? -1 : (RANK.get(level) ?? -1);
}

export function levelOf(rankOf: number): Level | null {
  return LEVELS[rankOf] ?? null;
}
