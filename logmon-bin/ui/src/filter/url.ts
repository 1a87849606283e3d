import { LEVELS, type Level } from '../api/types';
import { NO_FILTER, RANGES, normalLevels, type Filter, type Range } from './filter';

function isLevel(text: string): text is Level {
  return (LEVELS as readonly string[]).includes(text);
}

function isRange(text: string): text is Range {
  return (RANGES as readonly string[]).includes(text);
}

/** The first system wrote `ALL` or nothing where no filter is meant. */
function named(text: string): boolean {
  return text !== '' && text.toUpperCase() !== 'ALL';
}

export function readFilter(search: string): Filter {
  const params = new URLSearchParams(search);
  const levels = params
    .getAll('level')
    .flatMap((value) => value.split(','))
    .map((value) => value.trim().toUpperCase())
    .filter(isLevel);
  const range = params.get('range') ?? '';
  return {
    q: params.get('q') ?? '',
    levels: normalLevels(levels),
    sources: [...new Set(params.getAll('source').filter(named))],
    live: params.get('live') !== '0',
    range: isRange(range) ? range : NO_FILTER.range,
  };
}

/** Only what differs from the plain page, so that the plain page has a plain address. */
export function writeFilter(filter: Filter): string {
  const params = new URLSearchParams();
  if (filter.q !== '') params.set('q', filter.q);
  if (filter.levels.length > 0) params.set('level', filter.levels.join(','));
  for (const source of filter.sources) params.append('source', source);
  if (!filter.live) params.set('live', '0');
  if (filter.range !== NO_FILTER.range) params.set('range', filter.range);
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}
