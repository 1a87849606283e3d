import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { pause, until } from './lib/wait.mjs';

const scenario = scenarios();
const ROUNDS = 25;

scenario('a live row is on screen within 200 ms of its ack', {}, async ({ server, shipper, logs, page }) => {
  await logs.open(server.url);
  await shipper.send(line(0, { message: 'warm up' }));
  await until('the first row', async () => (await logs.rows()).length === 1);
  await page.evaluate(() => {
    window.seenAt = {};
    new MutationObserver((changes) => {
      for (const change of changes) {
        const token = /^latency-\d+$/.exec(change.target.textContent);
        if (token) window.seenAt[token[0]] ??= Date.now();
      }
    }).observe(document.querySelector('[data-testid="log-viewport"]'), { subtree: true, characterData: true });
  });
  const acked = [];
  for (let n = 0; n < ROUNDS; n += 1) {
    await shipper.send(line(n, { message: `latency-${n}` }));
    acked.push(Date.now());
    await pause(20 + (n % 7) * 10);
  }
  const seen = await until('every row', async () => {
    const map = await page.evaluate(() => window.seenAt);
    return Object.keys(map).length === ROUNDS && map;
  });
  const delays = acked.map((at, n) => seen[`latency-${n}`] - at).sort((a, b) => a - b);
  const median = delays[ROUNDS >> 1];
  const worst = delays.at(-1);
  console.log(`ack to row: median ${median} ms, worst ${worst} ms`);
  // The promise is the 200 ms. Shared CI machines stand still now and then, so it is held against the
  // median; no single row may take longer than a second even then, which a lost wake-up would.
  assert.ok(median < 200, `median ${median} ms`);
  assert.ok(worst < 1_000, `worst ${worst} ms`);
  await logs.holdsAll(server);
});

scenario('traffic arrives complete and in order', {}, async ({ server, shipper, logs }) => {
  await logs.open(server.url);
  shipper.startTraffic(1_000, line);
  await pause(3_000);
  await shipper.stopTraffic();
  const ids = await logs.holdsAll(server);
  assert.ok(ids.length >= 2_000, `only ${ids.length} events in 3 s`);
  assert.deepEqual(ids, [...ids].sort(), 'ids rise with the order of the journal');
  assert.equal((await logs.state()).notShown, 0);
});
