import assert from 'node:assert/strict';

/** Stores events by the API: durable when it returns. */
export async function post(server, events) {
  const response = await fetch(`${server.url}/api/logs`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(events),
  });
  assert.ok(response.ok, await response.text());
}

/** Events `from` to below `to`, numbered in `n`. */
export function numbered(from, to, event = {}) {
  return Array.from({ length: to - from }, (_, at) => ({ level: 'info', source: 'web', message: `line ${from + at}`, n: from + at, ...event }));
}

export const numbersOf = (logs) => logs.map(({ metadata }) => metadata.n);

/** The numbers `from` to below `to`. */
export const range = (from, to) => Array.from({ length: to - from }, (_, at) => from + at);
