import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { until } from './lib/wait.mjs';

const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const scenario = scenarios();

/** Whatever axe finds, of any weight; colours of every level are part of it. */
async function assertAccessible(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document);
    return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes[0].html}`);
  });
  assert.deepEqual(found, [], what);
}

for (const colorScheme of ['light', 'dark']) {
  scenario(`axe finds nothing in the ${colorScheme} theme`, { context: { colorScheme }, mayFail: [/status of 400/] }, async ({ server, shipper, logs, page }) => {
    await logs.open(server.url);
    await assertAccessible(page, 'first run');
    await shipper.sendAll(Array.from({ length: 60 }, (_, n) => line(n, { http: { status: 502 } })));
    await until('the rows', async () => (await logs.ids()).length === 60);
    await page.getByTestId('log-row').nth(3).click({ force: true });
    await logs.id('drawer').waitFor();
    await assertAccessible(page, 'rows and drawer');
    await logs.id('query').fill('x level:');
    await page.keyboard.press('Enter');
    await logs.id('query-problem').waitFor();
    await logs.id('source-button').click();
    await assertAccessible(page, 'error and source list');
    await page.keyboard.press('Escape');
    await logs.id('keys-button').click();
    await assertAccessible(page, 'keys');
  });
}

scenario('the page can be used by keyboard alone', {}, async ({ server, shipper, logs, page }) => {
  await shipper.sendAll(Array.from({ length: 60 }, (_, n) => line(n)));
  await until('the store to have them', async () => (await server.allEvents()).length === 60);
  await logs.open(server.url);
  await until('the rows', async () => (await logs.ids()).length === 60);
  await page.keyboard.press('k');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await logs.id('drawer').waitFor();
  assert.equal(await logs.id('drawer-message').innerText(), line(58).message);
  await page.keyboard.press('Escape');
  await logs.id('drawer').waitFor({ state: 'detached' });
  await page.keyboard.press('Home');
  assert.equal((await logs.state()).following, false);
  await page.keyboard.press('G');
  assert.equal((await logs.state()).following, true);
  await page.keyboard.press('6');
  await until('only FATAL', async () => (await logs.ids()).length === 6);
  await page.keyboard.press('/');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'query');
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await logs.id('keys').waitFor();
});
