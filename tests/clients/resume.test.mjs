// A plain EventSource and `curl -N` go on behind a restart without a hole or a repeat.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventSource } from 'eventsource';
import { until } from '../browser/lib/wait.mjs';
import { numbered, numbersOf, post, range } from './lib/post.mjs';
import { scenario } from './lib/scenario.mjs';

const RESTARTS = 3;
const EVENTS = 500;

/** Posts events in small requests, again and again, while the server is up. */
async function postAll(server, from, to) {
  for (let at = from; at < to; at += 50) await post(server, numbered(at, Math.min(at + 50, to)));
}

scenario('EventSource goes on after the server was killed', async (server) => {
  const source = new EventSource(`${server.url}/api/logs/stream?from=oldest&batch_ms=5`);
  const logs = [];
  source.addEventListener('batch', ({ data }) => logs.push(...JSON.parse(data).logs));
  try {
    for (let round = 0; round < RESTARTS; round += 1) {
      await postAll(server, round * EVENTS, (round + 1) * EVENTS);
      // Amid what it sends.
      await until('some events', () => logs.length > round * EVENTS);
      await server.kill();
      await server.start();
    }
    await postAll(server, RESTARTS * EVENTS, (RESTARTS + 1) * EVENTS);
    await until('all events', () => logs.length >= (RESTARTS + 1) * EVENTS);
    assert.deepEqual(numbersOf(logs), range(0, (RESTARTS + 1) * EVENTS));
  } finally {
    source.close();
  }
});

/** `curl -N` from where `last` says; what it printed is read into `logs` and `last` as it comes. */
function curl(server, state) {
  const headers = state.last ? ['-H', `Last-Event-ID: ${state.last}`] : [];
  const child = spawn('curl', ['-sN', ...headers, `${server.url}/api/logs/stream?from=oldest&batch_ms=5`], { stdio: ['ignore', 'pipe', 'inherit'] });
  let rest = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text) => {
    const messages = (rest + text).split('\n\n');
    rest = messages.pop();
    for (const message of messages) {
      const field = (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(message)?.[1];
      if (field('event') === 'batch') state.logs.push(...JSON.parse(field('data')).logs);
      state.last = field('id') ?? state.last;
    }
  });
  return { ended: new Promise((resolve) => child.once('close', resolve)), stop: () => child.kill() };
}

scenario('curl -N goes on with the last id it has seen', async (server) => {
  const state = { logs: [], last: null };
  for (let round = 0; round < RESTARTS; round += 1) {
    const reading = curl(server, state);
    await postAll(server, round * EVENTS, (round + 1) * EVENTS);
    await until('some events', () => state.logs.length > round * EVENTS);
    await server.kill();
    await reading.ended;
    await server.start();
  }
  const reading = curl(server, state);
  await postAll(server, RESTARTS * EVENTS, (RESTARTS + 1) * EVENTS);
  await until('all events', () => state.logs.length >= (RESTARTS + 1) * EVENTS);
  reading.stop();
  await reading.ended;
  assert.deepEqual(numbersOf(state.logs), range(0, (RESTARTS + 1) * EVENTS));
});
