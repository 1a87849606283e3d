import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { until } from './lib/wait.mjs';

const scenario = scenarios();

scenario('seeded events stand in a table of four columns, newest at the bottom', {}, async ({ server, shipper, logs, page }) => {
  for (let n = 0; n < 5; n += 1) await shipper.send(line(n), new Date(Date.UTC(2026, 10, 22, 5, 3, n, 120 + n)));
  await until('the store to have them', async () => (await server.allEvents()).length === 5);
  await logs.open(server.url);

  assert.deepEqual(await page.getByRole('columnheader').allInnerTexts(), ['Timestamp', 'Level', 'Message', 'Source']);
  const rows = await until('the rows', async () => {
    const shown = await logs.rows();
    return shown.length === 5 && shown;
  });
  assert.deepEqual(rows.map((row) => row.slice(1)), [0, 1, 2, 3, 4].map((n) => {
    const { level, message, source } = line(n);
    return [level.toUpperCase(), message, source];
  }));
  rows.forEach((row, n) => assert.match(row[0], new RegExp(`^11-22 \\d\\d:03:0${n}\\.12${n}$`)));
});

scenario('the table is a grid to a screen reader', {}, async ({ server, shipper, logs, page }) => {
  await shipper.sendAll(Array.from({ length: 300 }, (_, n) => line(n)));
  await until('the store to have them', async () => (await server.allEvents()).length === 300);
  await logs.open(server.url);
  const grid = page.getByRole('grid', { name: 'Log lines' });
  await until('the number of rows', async () => (await grid.getAttribute('aria-rowcount')) === '201');
  await page.keyboard.press('k');
  const active = await grid.getAttribute('aria-activedescendant');
  assert.equal(await page.locator(`#${active}`).getAttribute('aria-selected'), 'true');
  await until('row numbers', async () => (await page.locator(`#${active}`).getAttribute('aria-rowindex')) === '201');
  // Every row is the child of a row group, and rows come in the order of the screen.
  await until('the order of the screen', () => page.evaluate(() => {
    const rows = [...document.querySelectorAll('[data-testid="log-row"]:not([hidden])')];
    const tops = rows.map((row) => row.getBoundingClientRect().top);
    return rows.every((row) => row.parentElement.getAttribute('role') === 'rowgroup') && tops.every((top, at) => at === 0 || top > tops[at - 1]);
  }));
});

scenario('older rows load at the top, and nothing moves', {}, async ({ server, shipper, logs, page }) => {
  await shipper.sendAll(Array.from({ length: 900 }, (_, n) => line(n)));
  await until('the store to have them', async () => (await server.allEvents()).length === 900);
  await logs.open(server.url);
  assert.equal((await logs.ids()).length, 200);
  await page.keyboard.press('Home');
  await until('a page of older rows', async () => (await logs.ids()).length === 700);
  // The oldest row of before is still where it was, one below the place of the "load older" row.
  assert.deepEqual((await logs.rows()).slice(0, 2).map((row) => row[2]), ['line 699 of the day', 'line 700 of the day']);
  await page.keyboard.press('Home');
  await until('the rest', async () => (await logs.ids()).length === 900);
  await logs.holdsAll(server);
  await page.keyboard.press('Home');
  await until('the end of the range', async () => /Nothing older/.test(await logs.id('load-older').innerText()));
});

scenario('the drawer shows the whole event and follows the keys', {}, async ({ server, shipper, logs, page }) => {
  await shipper.send(line(1, { message: 'first' }));
  await shipper.send(line(2, { message: 'second\nwith a second line', http: { status: 502, path: '/charge' } }));
  await until('the store to have them', async () => (await server.allEvents()).length === 2);
  await logs.open(server.url);
  await until('the rows', async () => (await logs.rows()).length === 2);
  await page.getByTestId('log-row').filter({ hasText: 'second' }).click();
  assert.equal(await logs.id('drawer-message').innerText(), 'second\nwith a second line');
  const tree = await logs.id('drawer-tree').innerText();
  assert.match(tree, /status: 502/);
  assert.match(tree, /path: \/charge/);
  await page.keyboard.press('k');
  await until('the drawer to follow', async () => (await logs.id('drawer-message').innerText()) === 'first');
  await page.keyboard.press('Escape');
  await logs.id('drawer').waitFor({ state: 'detached' });
});
