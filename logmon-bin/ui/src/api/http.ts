import { parseJson } from './json';
import type { Problem } from './types';

/** The server answered, and the answer is a refusal it explains. */
export class ProblemError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.name = 'ProblemError';
    this.problem = problem;
  }
}

/** Nothing came back: the server is down or the network is. Worth trying again. */
export class NetworkError extends Error {
  constructor(cause: unknown) {
    super('no answer from the server', { cause });
    this.name = 'NetworkError';
  }
}

/** Resolved against the document, so the page works under any base path. */
export function endpoint(path: string): URL {
  return new URL(path, document.baseURI);
}

export interface RequestOptions {
  readonly method?: 'GET' | 'POST';
  readonly params?: URLSearchParams;
  readonly body?: unknown;
  readonly language: string;
  readonly signal?: AbortSignal;
}

export async function request<T>(path: string, options: RequestOptions): Promise<T> {
  const url = endpoint(path);
  if (options.params) url.search = options.params.toString();
  const headers: Record<string, string> = {
    Accept: 'application/json',
    // Problem titles and hints come in the language of the page.
    'Accept-Language': options.language,
  };
  const init: RequestInit = { method: options.method ?? 'GET', headers, cache: 'no-store' };
  if (options.signal) init.signal = options.signal;
  if (options.body !== undefined) {
    headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(options.body);
  }
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, init);
    text = await response.text();
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new NetworkError(error);
  }
  if (!response.ok) throw new ProblemError(readProblem(response.status, response.statusText, text));
  return parseJson(text) as T;
}

/** Also makes a problem of what a proxy in between may answer (an HTML page, an empty body). */
export function readProblem(status: number, statusText: string, text: string): Problem {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'code' in value && 'title' in value) {
      return value as Problem;
    }
  } catch {
    // Not JSON: told by the status alone.
  }
  return { code: `http_${status}`, title: `HTTP ${status} ${statusText}`.trim(), status };
}
