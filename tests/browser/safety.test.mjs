import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { until } from './lib/wait.mjs';

const scenario = scenarios();

scenario('a script in a message stays text, in the row and in the drawer', {}, async ({ server, shipper, logs, page }) => {
  const attack = '<script>window.broken=1</script><img src=x onerror="window.broken=1">';
  await shipper.send(line(1, { message: attack, source: '<b>web</b>', [attack]: { nested: attack } }));
  await logs.open(server.url);
  await until('the row', async () => (await logs.rows()).length === 1);
  const [row] = await logs.rows();
  assert.equal(row[2], attack);
  assert.equal(row[3], '<b>web</b>');
  await page.getByTestId('log-row').first().click();
  assert.equal(await logs.id('drawer-message').innerText(), attack);
  assert.ok((await logs.id('drawer-tree').innerText()).includes('onerror'));
  assert.equal(await page.evaluate(() => window.broken), undefined);
  assert.equal(await page.locator('main script, main img').count(), 0);
});

scenario('control characters, escape sequences and marks of direction are shown, not obeyed', {}, async ({ server, shipper, logs, page }) => {
  await shipper.send(line(1, { message: '\u001b[31mred\u001b[0m a\tb\nc \u202etxt.exe' }));
  await logs.open(server.url);
  await until('the row', async () => (await logs.rows()).length === 1);
  assert.equal((await logs.rows())[0][2], '␛[31mred␛[0m a␉b␊c ‹U+202E›txt.exe');
  await page.getByTestId('log-row').first().click();
  assert.equal(await logs.id('drawer-message').innerText(), '␛[31mred␛[0m a\tb\nc ‹U+202E›txt.exe');
});

scenario('the page keeps to its content security policy', {}, async ({ server, logs, page }) => {
  const response = await fetch(server.url);
  assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'self'/);
  await logs.open(server.url);
  // Every way this page changes its looks must work under it; a violation is an error in the console.
  for (const key of ['d', 'd', 'd', '?']) await page.keyboard.press(key);
  await logs.id('keys').waitFor();
});
