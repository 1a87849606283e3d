import { request } from './http';
import type { Level, SearchAnswer } from './types';

export interface SearchQuery {
  readonly q: string;
  readonly levels: readonly Level[];
  readonly sources: readonly string[];
  readonly from: string;
  readonly to: string;
  readonly limit: number;
  readonly cursor?: string;
}

/** Newest first on the wire (that is the end a reader wants first); the page turns it round. */
export function searchParams(query: SearchQuery): URLSearchParams {
  const params = new URLSearchParams();
  if (query.q.trim() !== '') params.set('q', query.q);
  if (query.levels.length > 0) params.set('level', query.levels.join(','));
  for (const source of query.sources) params.append('source', source);
  params.set('from', query.from);
  params.set('to', query.to);
  params.set('limit', String(query.limit));
  params.set('order', 'desc');
  if (query.cursor !== undefined) params.set('cursor', query.cursor);
  return params;
}

export function search(query: SearchQuery, language: string, signal?: AbortSignal): Promise<SearchAnswer> {
  const params = searchParams(query);
  return request<SearchAnswer>('api/logs', signal ? { params, language, signal } : { params, language });
}

export interface IngestAnswer {
  readonly accepted: number;
  readonly rejected: number;
  readonly last_seq: string;
}

export function sendLine(line: Record<string, string>, language: string): Promise<IngestAnswer> {
  return request<IngestAnswer>('api/logs', { method: 'POST', body: line, language });
}
