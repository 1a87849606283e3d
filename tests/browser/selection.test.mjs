import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { pause, until } from './lib/wait.mjs';

const scenario = scenarios();

scenario('a selection survives traffic, and three rows copy as three lines', { context: { permissions: ['clipboard-read', 'clipboard-write'] } }, async ({ server, shipper, logs, page }) => {
  await shipper.sendAll(Array.from({ length: 60 }, (_, n) => line(n, { message: `line ${n} \u001b[31mred` })));
  await until('the store to have them', async () => (await server.allEvents()).length === 60);
  await logs.open(server.url);
  await until('the rows', async () => (await logs.ids()).length === 60);
  const messages = page.getByTestId('log-row').filter({ visible: true }).getByTestId('cell-message');
  const from = await messages.nth(12).boundingBox();
  const to = await messages.nth(14).boundingBox();
  await page.mouse.move(from.x + 2, from.y + 8);
  await page.mouse.down();
  await page.mouse.move(to.x + 60, to.y + 8, { steps: 5 });
  await page.mouse.up();
  const selected = await page.evaluate(() => String(document.getSelection()));
  assert.match(selected, /line \d+/);
  assert.equal((await logs.state()).following, false);

  shipper.startTraffic(500, line);
  await pause(1_500);
  await shipper.stopTraffic();
  assert.equal(await page.evaluate(() => String(document.getSelection())), selected);
  assert.equal(await logs.id('drawer').count(), 0, 'the end of a selection opens nothing');

  await page.keyboard.press('Control+c');
  const lines = (await page.evaluate(() => navigator.clipboard.readText())).split('\n');
  assert.equal(lines.length, 3);
  for (const one of lines) assert.match(one, /^\d{4}-\d\d-\d\dT\S+Z [A-Z]+ \S+ line \d+ ␛\[31mred$/);
});
