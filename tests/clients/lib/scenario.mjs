import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Server } from '../../browser/lib/server.mjs';
import { until } from '../../browser/lib/wait.mjs';
import { parseExact } from './exact.mjs';

/** One test with a server of its own, which starts empty. `config` is its logmon.toml. */
export function scenario(name, run, config) {
  test(name, { timeout: 60_000 }, async (context) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'logmon-clients-'));
    context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'logmon.toml');
    fs.writeFileSync(file, config ? await config(folder) : '');
    const server = new Server(['--config', file]);
    await server.start();
    try {
      await run(server);
    } catch (error) {
      context.diagnostic(`the server said:\n${server.log}`);
      throw error;
    } finally {
      await server.stop();
    }
  });
}

/** Host and port of the Forward listener. */
export function forwardAddress(server) {
  const [host, port] = server.forward.split(':');
  return { host, port: Number(port) };
}

/** Every stored event as the tests compare it, oldest number first; integers are exact. */
export async function stored(server) {
  const events = [];
  let cursor = '';
  do {
    const query = new URLSearchParams({ from: '0', to: '2200-01-01T00:00:00Z', limit: '10000' });
    if (cursor) query.set('cursor', cursor);
    const response = await fetch(`${server.url}/api/logs?${query}`);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    const answer = parseExact(text);
    assert.equal(answer.complete, true, 'the search covers everything');
    events.push(...answer.logs);
    cursor = answer.next_cursor;
  } while (cursor);
  return events.map(({ seq, timestamp, tag, level, source, message, metadata }) =>
    ({ seq: BigInt(seq), timestamp, tag, level, source, message, metadata }));
}

const comparable = (events) => events
  .map(({ seq, ...event }) => event)
  .sort((a, b) => a.tag.localeCompare(b.tag) || a.metadata.n - b.metadata.n);

/** All events were acked, so they are there now, each once and unchanged. */
export async function holdsNow(server, expected) {
  assert.deepEqual(comparable(await stored(server)), comparable(expected));
}

/** For clients without acks: as above, once everything has arrived. */
export async function holdsSoon(server, expected) {
  await until(`${expected.length} events to be stored`, async () =>
    (await stored(server)).length >= expected.length);
  await holdsNow(server, expected);
}
