import { describe, expect, it } from 'vitest';
import { searchParams } from '../src/api/logs';
import { LEVELS } from '../src/api/types';
import { NO_FILTER, bounds, isFiltered, pressChip, toggleSource, type Filter } from '../src/filter/filter';
import { markError } from '../src/filter/mark';
import { readFilter, writeFilter } from '../src/filter/url';

describe('level chips', () => {
  it('toggles, and all six are the same as none', () => {
    expect(pressChip([], 'ERROR', 'toggle')).toEqual(['ERROR']);
    expect(pressChip(['ERROR'], 'WARN', 'toggle')).toEqual(['WARN', 'ERROR']);
    expect(pressChip(['WARN', 'ERROR'], 'ERROR', 'toggle')).toEqual(['WARN']);
    expect(pressChip(LEVELS.filter((level) => level !== 'INFO'), 'INFO', 'toggle')).toEqual([]);
  });

  it('takes only one, and gives all back when pressed again', () => {
    expect(pressChip(['WARN', 'ERROR'], 'INFO', 'only')).toEqual(['INFO']);
    expect(pressChip(['INFO'], 'INFO', 'only')).toEqual([]);
  });

  it('takes one and above', () => {
    expect(pressChip(['TRACE'], 'WARN', 'andAbove')).toEqual(['WARN', 'ERROR', 'FATAL']);
    expect(pressChip([], 'TRACE', 'andAbove')).toEqual([]);
  });
});

describe('filter in the URL', () => {
  const filter: Filter = { q: 'a AND "b c" & d=1', levels: ['WARN', 'ERROR'], sources: ['web', 'a,b & c'], live: false, range: '24h' };

  it('comes back as it was', () => {
    expect(readFilter(writeFilter(filter))).toEqual(filter);
    expect(readFilter(writeFilter({ ...filter, q: '接続 失敗', live: true }))).toEqual({ ...filter, q: '接続 失敗', live: true });
  });

  it('is empty for the plain page', () => {
    expect(writeFilter(NO_FILTER)).toBe('');
    expect(readFilter('')).toEqual(NO_FILTER);
  });

  it('reads ALL as no filter and leaves out what it does not know', () => {
    expect(readFilter('?level=ALL&source=ALL&range=never')).toEqual(NO_FILTER);
    expect(readFilter('?level=error&level=warn,bogus').levels).toEqual(['WARN', 'ERROR']);
    expect(readFilter('?source=web&source=web').sources).toEqual(['web']);
  });
});

describe('search parameters', () => {
  it('puts query, chips and sources side by side; the server joins them with AND', () => {
    const params = searchParams({ q: 'level:info OR x', levels: ['WARN', 'ERROR'], sources: ['web', 'db'], from: '0', to: 'now', limit: 200 });
    expect(params.get('q')).toBe('level:info OR x');
    expect(params.get('level')).toBe('WARN,ERROR');
    expect(params.getAll('source')).toEqual(['web', 'db']);
    expect(params.get('order')).toBe('desc');
    expect(params.has('cursor')).toBe(false);
  });

  it('leaves out what does not filter', () => {
    expect([...searchParams({ q: '  ', levels: [], sources: [], from: '0', to: 'now', limit: 1 }).keys()]).toEqual(['from', 'to', 'limit', 'order']);
  });

  it('looks through all time while live', () => {
    expect(bounds(NO_FILTER).from).toBe('0');
    expect(bounds({ ...NO_FILTER, live: false, range: '15m' })).toEqual({ from: 'now-15m', to: 'now' });
  });

  it('knows whether anything is filtered', () => {
    expect(isFiltered({ ...NO_FILTER, q: ' ' })).toBe(false);
    expect(isFiltered({ ...NO_FILTER, sources: toggleSource([], 'web') })).toBe(true);
    expect(toggleSource(['web'], 'web')).toEqual([]);
  });
});

describe('error mark', () => {
  const at = (offset: number, length: number) => ({ offset, length, line: 1, column: offset + 1 });

  it('cuts the text at UTF-16 offsets', () => {
    expect(markError('あ👍 level:x', at(4, 5))).toEqual({ before: 'あ👍 ', mark: 'level', after: ':x', offset: 4 });
  });

  it('marks a place that has no character', () => {
    expect(markError('level:', at(6, 0))).toEqual({ before: 'level:', mark: '\u00a0', after: '', offset: 6 });
    expect(markError('a\nb', at(1, 0))).toEqual({ before: 'a', mark: '\u00a0', after: '\nb', offset: 1 });
    expect(markError('abc', at(99, 3)).offset).toBe(3);
  });
});
