import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { pause, until } from './lib/wait.mjs';

const scenario = scenarios();

scenario('pause, then resume from here: no event lost or repeated', {}, async ({ server, shipper, logs, page }) => {
  await logs.open(server.url);
  shipper.startTraffic(300, line);
  await until('some traffic', async () => (await logs.state()).rows > 200);
  await page.keyboard.press('Space');
  await logs.id('paused').waitFor();
  await until('what was under way', async () => {
    const before = (await logs.ids()).length;
    await pause(300);
    return (await logs.ids()).length === before;
  });
  const held = (await logs.ids()).length;
  await pause(1_500);
  assert.equal((await logs.ids()).length, held, 'a paused page takes no rows');
  await page.keyboard.press('Space');
  await logs.phase('live');
  await pause(500);
  await shipper.stopTraffic();
  const ids = await logs.holdsAll(server);
  assert.ok(ids.length > held + 300);
  assert.equal((await logs.state()).notShown, 0);
});

scenario('resume at the newest leaves a row that counts what was left out', {}, async ({ server, shipper, logs }) => {
  await logs.open(server.url);
  await shipper.sendAll(Array.from({ length: 20 }, (_, n) => line(n)));
  await until('the rows', async () => (await logs.ids()).length === 20);
  await logs.id('pause').click();
  await logs.id('paused').waitFor();
  // The server has the pause in hand when it no longer sends what comes after it.
  await until('the pause to hold', async () => {
    const before = (await logs.ids()).length;
    await shipper.send(line(0));
    await pause(300);
    return (await logs.ids()).length === before;
  });
  await shipper.sendAll(Array.from({ length: 50 }, (_, n) => line(n)));
  await logs.id('resume-head').click();
  await logs.id('gap-row').waitFor();
  // Whatever the server shows of the end: what is shown and what is said not to be make up the whole.
  const all = (await server.allEvents()).length;
  await until('every event to be shown or counted', async () => (await logs.ids()).length + (await logs.state()).notShown === all);
  const { notShown } = await logs.state();
  assert.ok(notShown > 0);
  assert.match(await logs.id('gap-row').innerText(), new RegExp(`${notShown} lines not shown`));
  await shipper.send(line(1, { message: 'after the jump' }));
  await until('the next row', async () => (await logs.rows()).at(-1)[2] === 'after the jump');
});
