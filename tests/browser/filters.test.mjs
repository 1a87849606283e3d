import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { until } from './lib/wait.mjs';

const scenario = scenarios();
// High enough that every seeded row is on screen.
const options = { context: { viewport: { width: 1280, height: 1000 } } };

async function seeded({ server, shipper, logs }) {
  await shipper.sendAll(Array.from({ length: 30 }, (_, n) => line(n)));
  await until('the store to have them', async () => (await server.allEvents()).length === 30);
  await logs.open(server.url);
  await until('the rows', async () => (await logs.ids()).length === 30);
}

const column = (rows, at) => [...new Set(rows.map((row) => row[at]))].sort();
const showing = (logs, count) => until(`${count} rows`, async () => {
  const rows = await logs.rows();
  return rows.length === count && (await logs.ids()).length === count && rows;
});

scenario('level chips filter, also what arrives afterwards', options, async (on) => {
  const { shipper, logs, page } = on;
  await seeded(on);
  await logs.id('level-ERROR').click();
  assert.deepEqual(column(await showing(logs, 3), 1), ['ERROR']);
  assert.match(page.url(), /level=ERROR/);
  await logs.phase('live');
  await shipper.sendAll([line(0, { message: 'not this' }), line(7, { message: 'this one' })]);
  assert.equal((await showing(logs, 4)).at(-1)[2], 'this one');

  await logs.id('level-WARN').click();
  assert.deepEqual(column(await showing(logs, 7), 1), ['ERROR', 'WARN']);
  await logs.id('level-DEBUG').click({ modifiers: ['Alt'] });
  assert.deepEqual(column(await showing(logs, 3), 1), ['DEBUG']);
  await logs.id('level-ERROR').click({ modifiers: ['Shift'] });
  assert.deepEqual(column(await showing(logs, 7), 1), ['ERROR', 'FATAL']);
  await page.keyboard.press('5');
  assert.deepEqual(column(await showing(logs, 3), 1), ['FATAL']);
});

scenario('the source filter takes one, two, and ALL clears it', options, async (on) => {
  const { logs, page } = on;
  await seeded(on);
  await logs.id('source-button').click();
  await logs.id('source-billing-api').click();
  assert.deepEqual(column(await showing(logs, 10), 3), ['billing-api']);
  await logs.id('source-web').click();
  assert.deepEqual(column(await showing(logs, 20), 3), ['billing-api', 'web']);
  await logs.id('source-all').click();
  await showing(logs, 30);
  // A source that no row on screen has can be typed.
  await logs.id('source-input').fill('checkout');
  await page.keyboard.press('Enter');
  assert.deepEqual(column(await showing(logs, 10), 3), ['checkout']);
  await page.reload();
  await logs.phase('live');
  assert.deepEqual(column(await showing(logs, 10), 3), ['checkout']);
  await page.goBack();
  await until('the address of before', async () => !/source=checkout/.test(page.url()));
});

scenario('the query filters by words, and Back brings the last one', options, async (on) => {
  const { shipper, logs, page } = on;
  await seeded(on);
  await page.keyboard.press('/');
  await page.keyboard.type('"line 17"');
  await page.keyboard.press('Enter');
  assert.equal((await showing(logs, 1))[0][2], 'line 17 of the day');
  await logs.phase('live');
  await shipper.sendAll([line(40, { message: 'another' }), line(41, { message: 'the second line 17' })]);
  assert.equal((await showing(logs, 2))[1][2], 'the second line 17');
  await page.goBack();
  await until('every row', async () => (await logs.ids()).length === 32);
  assert.equal(await logs.id('query').inputValue(), '');
  await logs.id('query').fill('nothing-has-this-word');
  await page.keyboard.press('Enter');
  await logs.id('no-match').waitFor();
});

scenario('with Live off a range of the past is searched', options, async (on) => {
  const { shipper, server, logs } = on;
  await seeded(on);
  await shipper.send(line(99, { message: 'two hours old' }), new Date(Date.now() - 2 * 3_600_000));
  await until('the store to have it', async () => (await server.allEvents()).length === 31);
  await logs.id('live-switch').click();
  await logs.id('range-1h').click();
  await showing(logs, 30);
  assert.equal((await logs.state()).phase, 'off');
  await logs.id('range-24h').click();
  assert.equal((await showing(logs, 31))[0][2], 'two hours old', 'search goes by time, oldest on top');
  assert.match(await logs.id('matches').innerText(), /31 matches/);
});
