import { LEVELS, type Level } from '../api/types';

export const RANGES = ['15m', '1h', '24h', 'all'] as const;
export type Range = (typeof RANGES)[number];

/** What the page shows; all of it is in the URL. */
export interface Filter {
  readonly q: string;
  /** None named means every event, also those without a level. */
  readonly levels: readonly Level[];
  readonly sources: readonly string[];
  readonly live: boolean;
  /** Only asked for while Live is off. */
  readonly range: Range;
}

export const NO_FILTER: Filter = { q: '', levels: [], sources: [], live: true, range: '1h' };

/** In order of severity; all six are the same as none, so that events without a level come back. */
export function normalLevels(levels: Iterable<Level>): readonly Level[] {
  const set = new Set(levels);
  return set.size === LEVELS.length ? [] : LEVELS.filter((level) => set.has(level));
}

export type ChipAction = 'toggle' | 'only' | 'andAbove';

export function pressChip(levels: readonly Level[], chip: Level, action: ChipAction): readonly Level[] {
  switch (action) {
    case 'only':
      return levels.length === 1 && levels[0] === chip ? [] : [chip];
    case 'andAbove':
      return normalLevels(LEVELS.slice(LEVELS.indexOf(chip)));
    case 'toggle':
      return normalLevels(levels.includes(chip) ? levels.filter((level) => level !== chip) : [...levels, chip]);
  }
}

export function toggleSource(sources: readonly string[], source: string): readonly string[] {
  return sources.includes(source) ? sources.filter((other) => other !== source) : [...sources, source];
}

export function isFiltered(filter: Filter): boolean {
  return filter.q.trim() !== '' || filter.levels.length > 0 || filter.sources.length > 0;
}

const FOREVER = '2200-01-01T00:00:00Z';

/** The time bounds to search in. Live shows the newest whatever their time, also a clock that runs ahead. */
export function bounds(filter: Filter): { readonly from: string; readonly to: string } {
  if (filter.live || filter.range === 'all') return { from: '0', to: FOREVER };
  return { from: `now-${filter.range}`, to: 'now' };
}
