import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { until } from './lib/wait.mjs';

const scenario = scenarios();
// The browser itself reports the refused request in the console.
const mayFail = [/status of 400/];

/** Where the mark begins, and where the character before it ends, in pixels of the screen. */
function places(page) {
  return page.evaluate(() => {
    const mark = document.querySelector('[data-testid="query-mark"]');
    const field = document.querySelector('[data-testid="query"]');
    const style = getComputedStyle(field);
    const pen = document.createElement('canvas').getContext('2d');
    pen.font = style.font;
    const before = field.value.slice(0, Number(mark.dataset.offset));
    return {
      mark: mark.getBoundingClientRect().left,
      text: field.getBoundingClientRect().left + Number.parseFloat(style.paddingLeft) + pen.measureText(before).width,
    };
  });
}

for (const query of ['charge level:', '接続失敗 level: x', 'a "b']) {
  scenario(`the error in ${query} is underlined at its column, in both languages`, { mayFail }, async ({ server, shipper, logs, page }) => {
    await shipper.sendAll([line(1), line(2)]);
    await until('the store to have them', async () => (await server.allEvents()).length === 2);
    await logs.open(server.url);
    await until('the rows', async () => (await logs.rows()).length === 2);
    const worded = [];
    await logs.id('query').fill(query);
    await page.keyboard.press('Enter');
    for (const language of ['en', 'ja']) {
      const problem = await server.problem(query, language);
      assert.equal(problem.code, 'query_syntax');
      await logs.id(`language-${language}`).click();
      await until('the words of the server', async () =>
        (await logs.id('query-problem-title').innerText()) === problem.title && (await logs.id('query-problem-detail').innerText()) === problem.detail);
      assert.equal(await logs.id('query-mark').getAttribute('data-offset'), String(problem.position.offset));
      assert.ok((await logs.id('query-problem-column').innerText()).includes(String(problem.position.column)));
      if (problem.hint) assert.equal(await logs.id('query-problem-hint').innerText(), problem.hint);
      const { mark, text } = await places(page);
      assert.ok(Math.abs(mark - text) < 2, `the mark begins at ${mark}, its column at ${text}`);
      worded.push(`${problem.title} ${problem.detail}`);
    }
    assert.notEqual(worded[0], worded[1]);
    // The last good result stays, and stays live.
    assert.equal((await logs.rows()).length, 2);
    await shipper.send(line(3));
    await until('the new row', async () => (await logs.rows()).length === 3);
    // Editing takes the mark away.
    await logs.id('query').press('End');
    await page.keyboard.type('x');
    await logs.id('query-mark').waitFor({ state: 'detached' });
  });
}

scenario('Enter that ends a composition does not run the query', {}, async ({ server, shipper, logs, page, context }) => {
  await shipper.sendAll([line(1, { message: '接続失敗' }), line(2)]);
  await until('the store to have them', async () => (await server.allEvents()).length === 2);
  await logs.open(server.url);
  await until('the rows', async () => (await logs.rows()).length === 2);
  await logs.id('query').focus();
  const devtools = await context.newCDPSession(page);
  await devtools.send('Input.imeSetComposition', { text: 'せつぞく', selectionStart: 4, selectionEnd: 4 });
  await page.evaluate(() => {
    window.composingEnters = 0;
    document.addEventListener('keydown', (event) => { if (event.key === 'Enter' && event.isComposing) window.composingEnters += 1; }, true);
  });
  // As the browser passes it on while an input method is open: a key without a text of its own.
  for (const type of ['rawKeyDown', 'keyUp']) {
    await devtools.send('Input.dispatchKeyEvent', { type, key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13 });
  }
  assert.equal(await page.evaluate(() => window.composingEnters), 1, 'the key did come during the composition');
  assert.equal(new URL(page.url()).search, '');
  await devtools.send('Input.insertText', { text: '接続' });
  await page.keyboard.press('Enter');
  await until('the result', async () => (await logs.ids()).length === 1);
  assert.equal(new URL(page.url()).searchParams.get('q'), '接続');
});
