import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { until } from './lib/wait.mjs';

const scenario = scenarios();

scenario('Japanese and back without a reload, and the choice is kept', {}, async ({ server, shipper, logs, page }) => {
  await shipper.send(line(1, { message: '接続失敗' }));
  await until('the store to have it', async () => (await server.allEvents()).length === 1);
  await logs.open(server.url);
  await until('the row', async () => (await logs.rows()).length === 1);
  await page.evaluate(() => { window.sameDocument = true; });
  await logs.id('language-ja').click();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'ja');
  assert.deepEqual(await page.getByRole('columnheader').allInnerTexts(), ['時刻', 'レベル', 'メッセージ', 'ソース']);
  assert.match(await logs.id('status').innerText(), /ライブ/);
  assert.equal((await logs.rows())[0][2], '接続失敗');
  assert.equal(await page.evaluate(() => window.sameDocument), true);
  await page.reload();
  await logs.phase('live');
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'ja');
  await logs.id('language-en').click();
  assert.deepEqual(await page.getByRole('columnheader').allInnerTexts(), ['Timestamp', 'Level', 'Message', 'Source']);
});

scenario('a Japanese browser gets Japanese at once', { context: { locale: 'ja-JP' } }, async ({ server, logs }) => {
  await logs.open(server.url);
  assert.match(await logs.id('first-run').innerText(), /ログはまだありません/);
});

for (const width of [360, 768, 1280]) {
  scenario(`nothing is wider than the window at ${width} px, in both languages`, { context: { viewport: { width, height: 700 } } }, async ({ server, shipper, logs, page }) => {
    await shipper.sendAll(Array.from({ length: 50 }, (_, n) => line(n, { message: 'a rather long message '.repeat(20) })));
    await until('the store to have them', async () => (await server.allEvents()).length === 50);
    await logs.open(server.url);
    for (const language of ['en', 'ja']) {
      await logs.id(`language-${language}`).click();
      const { page: wide, window: room } = await page.evaluate(() => ({ page: document.documentElement.scrollWidth, window: innerWidth }));
      assert.ok(wide <= room, `${wide} px in ${room}`);
    }
    await page.getByTestId('log-row').last().click({ force: true });
    await logs.id('drawer').waitFor();
    const box = await logs.id('drawer').boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= width);
  });
}
