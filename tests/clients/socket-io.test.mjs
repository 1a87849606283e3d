// npm `socket.io-client` 4: the page of the first system works as it is.

import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import { until } from '../browser/lib/wait.mjs';
import { numbered, numbersOf, post, range } from './lib/post.mjs';
import { scenario } from './lib/scenario.mjs';

const TRANSPORTS = [['polling'], ['websocket'], ['polling', 'websocket']];

/** Connects; everything that comes is in `logs`, `arrays`, `errors`. */
async function connect(server, options = {}) {
  const socket = io(server.url, { reconnectionDelay: 20, reconnectionDelayMax: 50, ...options });
  const seen = { socket, logs: [], arrays: [], errors: [] };
  socket.on('log', (log) => seen.logs.push(log));
  socket.on('logs', (logs) => seen.arrays.push(logs));
  socket.on('error', (error) => seen.errors.push(error));
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('connect_error', reject);
  });
  return seen;
}

async function connected(server, options, run) {
  const seen = await connect(server, options);
  try {
    await run(seen);
  } finally {
    seen.socket.close();
  }
}

/** Subscribes and waits for the answer. */
const subscribe = (socket, filter) => socket.timeout(5_000).emitWithAck('subscribe', filter);

for (const transports of TRANSPORTS) {
  const named = transports.join(' and ');

  scenario(`socket.io-client over ${named}: level and source, as the page chooses them`, async (server) => {
    await connected(server, { transports }, async ({ socket, logs }) => {
      // What the first system's LogViewer does: no acknowledgement is asked for.
      socket.emit('subscribe', { level: 'ALL', source: 'ALL' });
      await post(server, [...numbered(0, 3), ...numbered(3, 5, { level: 'error' })]);
      await until('all lines', () => logs.length >= 5);
      assert.deepEqual(numbersOf(logs), range(0, 5));
      for (const log of logs) {
        assert.match(log._id, /^[0-9a-f]{24}$/);
        assert.equal(log._id, log.id);
        assert.ok(!Number.isNaN(new Date(log.timestamp).getTime()));
      }
      assert.deepEqual([...new Set(logs.map(({ level }) => level))], ['INFO', 'ERROR']);

      await subscribe(socket, { level: 'ERROR', source: 'ALL' });
      await post(server, [...numbered(5, 8), ...numbered(8, 10, { level: 'error' })]);
      await until('the errors', () => logs.length >= 7);
      await subscribe(socket, { level: 'ALL', source: 'billing-api' });
      await post(server, [...numbered(10, 13), ...numbered(13, 15, { source: 'billing-api' })]);
      await until('those of one source', () => logs.length >= 9);
      assert.deepEqual(numbersOf(logs), [...range(0, 5), 8, 9, 13, 14]);
    });
  });

  scenario(`socket.io-client over ${named}: many events, each once and in order`, async (server) => {
    await connected(server, { transports }, async ({ logs }) => {
      for (let from = 0; from < 6_000; from += 1_000) await post(server, numbered(from, from + 1_000));
      await until('all events', () => logs.length >= 6_000);
      assert.deepEqual(numbersOf(logs), range(0, 6_000));
    });
  });
}

scenario('socket.io-client: answers, arrays, since and unsubscribe', async (server) => {
  await post(server, numbered(0, 10));
  await connected(server, {}, async ({ socket, logs, arrays, errors }) => {
    const answer = await subscribe(socket, { level: 'info', q: 'line', since: 'oldest', batch: true });
    assert.deepEqual(answer, { ok: true, filter: 'level:info AND line' });
    await until('what was stored before', () => arrays.flat().length >= 10);
    assert.deepEqual(numbersOf(arrays.flat()), range(0, 10));
    assert.equal(logs.length, 0);

    const refused = await subscribe(socket, { q: 'level:' });
    assert.equal(refused.type.split('/').at(-1), 'query-syntax');
    assert.deepEqual(errors, [refused]);
    assert.equal((await subscribe(socket, { level: 5 })).type.split('/').at(-1), 'invalid-parameter');
    assert.equal((await subscribe(socket, 'ALL')).type.split('/').at(-1), 'invalid-body');
    // The filter before is still there.
    await post(server, numbered(10, 12));
    await until('what came since', () => arrays.flat().length >= 12);

    socket.emit('unsubscribe');
    await post(server, numbered(12, 20));
    // An answer to what comes later tells that nothing else is under way.
    await subscribe(socket, { q: 'nothing like this' });
    assert.deepEqual(numbersOf(arrays.flat()), range(0, 12));
  });
});

scenario('socket.io-client: comes back by itself after a crash of the server', async (server) => {
  await connected(server, { transports: ['websocket'] }, async ({ socket, logs }) => {
    socket.on('connect', () => socket.emit('subscribe', { level: 'ALL', source: 'ALL' }));
    await post(server, numbered(0, 5));
    await until('the first', () => logs.length >= 5);
    await server.kill();
    await server.start();
    await until('the connection', () => socket.connected);
    await subscribe(socket, { level: 'ALL', source: 'ALL' });
    await post(server, numbered(5, 10));
    await until('the others', () => logs.length >= 10);
    assert.deepEqual(numbersOf(logs), range(0, 10));
  });
});

// R-rows of the origin: the handshake of another page's script is refused.
scenario('socket.io-client: pages of other origins are refused', async (server) => {
  for (const transports of TRANSPORTS) {
    const extraHeaders = { origin: 'http://elsewhere.example' };
    await assert.rejects(connect(server, { transports, extraHeaders, reconnection: false }));
  }
  const same = { extraHeaders: { origin: server.url }, transports: ['websocket'] };
  await connected(server, same, async ({ socket }) => assert.ok(socket.connected));
});

scenario('socket.io-client: a script in a message is text', async (server) => {
  await connected(server, {}, async ({ logs }) => {
    const message = '<script>alert("\u2028</script>\\u0000';
    await post(server, [{ level: 'info', source: '<b>', message, n: 0 }]);
    await until('the event', () => logs.length >= 1);
    assert.deepEqual([logs[0].message, logs[0].source], [message, '<b>']);
  });
});
