import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { pause, until } from './lib/wait.mjs';

const scenario = scenarios();

/** Looks at the rows in every frame, and notes each difference from the first look. */
function watchRows(page) {
  return page.evaluate(() => {
    const view = document.querySelector('[data-testid="log-viewport"]');
    const look = () => {
      const { top, bottom } = view.getBoundingClientRect();
      return [...view.querySelectorAll('[data-testid="log-row"]:not([hidden])')]
        .map((row) => ({ y: row.getBoundingClientRect().top, text: row.textContent }))
        .filter(({ y }) => y > top - 22 && y < bottom)
        .sort((a, b) => a.y - b.y)
        .map(({ y, text }) => `${y} ${text}`)
        .join('\n');
    };
    const watch = { frames: 0, changes: [], first: look() };
    window.watch = watch;
    const frame = () => {
      watch.frames += 1;
      const now = look();
      if (now !== watch.first && watch.changes.length < 3) watch.changes.push(now);
      watch.timer = requestAnimationFrame(frame);
    };
    watch.timer = requestAnimationFrame(frame);
  });
}

function watched(page) {
  return page.evaluate(() => {
    cancelAnimationFrame(window.watch.timer);
    const { frames, changes, first } = window.watch;
    return { frames, changes, first };
  });
}

/** A picture of the rows, without the scrollbar (which does tell of new rows) and without the badge. */
async function picture(page) {
  const box = await page.getByTestId('log-viewport').boundingBox();
  return page.screenshot({ clip: { x: box.x, y: box.y, width: box.width - 20, height: box.height - 60 }, animations: 'disabled' });
}

async function scrollUp(logs, page) {
  const box = await page.getByTestId('log-viewport').boundingBox();
  await page.mouse.move(box.x + 300, box.y + 200);
  await page.mouse.wheel(0, -700);
  await until('the list to stop following', async () => !(await logs.state()).following);
  // Away from the rows, so that no hover colour comes into the picture.
  await page.mouse.move(box.x + 300, 5);
}

async function assertStill(page, act) {
  await watchRows(page);
  const before = await picture(page);
  await act();
  const after = await picture(page);
  const { frames, changes, first } = await watched(page);
  assert.ok(frames > 30, `only ${frames} frames were looked at`);
  assert.ok(first.split('\n').length > 20, 'rows were on screen');
  assert.deepEqual(changes, [], 'a row moved or changed');
  assert.ok(before.equals(after), 'a pixel changed');
}

scenario('nothing moves for 3 s of 1,000 events a second while scrolled up; the badge counts and leads back', {}, async ({ server, shipper, logs, page }) => {
  await logs.open(server.url);
  shipper.startTraffic(1_000, line);
  await until('some traffic', async () => (await logs.state()).rows > 1_000);
  await scrollUp(logs, page);
  const rows = (await logs.state()).rows;
  await assertStill(page, () => pause(3_000));
  assert.ok((await logs.state()).rows - rows > 2_000, 'the traffic went on meanwhile');
  await shipper.stopTraffic();
  await logs.holdsAll(server);
  const badge = logs.id('new-lines');
  assert.match(await badge.innerText(), /FATAL\s+[\d,]+ new lines/);
  await badge.click();
  await badge.waitFor({ state: 'detached' });
  assert.equal((await logs.state()).following, true);
  const newest = (await server.allEvents()).at(-1);
  assert.equal((await logs.rows()).at(-1)[2], newest.message);
});

scenario('the badge tells the exact number, and End returns', {}, async ({ server, shipper, logs, page }) => {
  await shipper.sendAll(Array.from({ length: 100 }, (_, n) => line(n)));
  await until('the store to have them', async () => (await server.allEvents()).length === 100);
  await logs.open(server.url);
  await until('the rows', async () => (await logs.ids()).length === 100);
  await scrollUp(logs, page);
  await shipper.sendAll(Array.from({ length: 37 }, (_, n) => line(n, { level: 'info' })));
  await until('the badge', async () => (await logs.id('new-lines').getAttribute('data-count')) === '37');
  assert.equal(await logs.id('new-lines').innerText(), '37 new lines');
  await page.keyboard.press('End');
  await logs.id('new-lines').waitFor({ state: 'detached' });
  // Following again: the next row is shown at the bottom.
  await shipper.send(line(1, { message: 'the last one' }));
  await until('the last row', async () => (await logs.rows()).at(-1)[2] === 'the last one');
});

scenario('a selection, a chosen row and the smallest wheel step stop following', {}, async ({ server, shipper, logs, page }) => {
  await shipper.sendAll(Array.from({ length: 100 }, (_, n) => line(n)));
  await until('the store to have them', async () => (await server.allEvents()).length === 100);
  await logs.open(server.url);
  const stops = [
    () => page.keyboard.press('k'),
    async () => {
      const box = await page.getByTestId('log-viewport').boundingBox();
      await page.mouse.move(box.x + 300, box.y + 200);
      await page.mouse.wheel(0, -3);
    },
    () => page.evaluate(() => document.getSelection().selectAllChildren(document.querySelector('[data-testid="log-row"]:not([hidden]) [data-testid="cell-message"]'))),
  ];
  for (const act of stops) {
    await page.keyboard.press('End');
    await until('following', async () => (await logs.state()).following);
    await act();
    await until('not following', async () => !(await logs.state()).following);
  }
});

scenario('nothing moves when the full buffer lets its oldest rows go', { shipper: { flushInterval: 20 } }, async ({ server, shipper, logs, page }) => {
  await logs.open(server.url);
  // Past the 100,000 rows that the page keeps, in portions that the Forward client can queue. A slow
  // page is moved on and told what it missed, so what was sent says nothing of what it holds.
  for (let sent = 0; (await logs.state()).rows < 100_000; sent += 5_000) {
    await shipper.sendAll(Array.from({ length: 5_000 }, (_, n) => line(sent + n)));
  }
  await scrollUp(logs, page);
  const oldest = (await logs.ids())[0];
  await assertStill(page, async () => {
    await shipper.sendAll(Array.from({ length: 3_000 }, (_, n) => line(n)));
    await until('rows to go', async () => (await logs.ids())[0] !== oldest);
    await pause(500);
  });
  assert.equal((await logs.state()).rows, 100_000);
  // Also where the rows on screen are among those that go.
  await page.keyboard.press('Home');
  await until('the top', async () => /Older lines have left/.test(await logs.id('load-older').innerText()));
  const top = (await logs.ids())[0];
  await page.mouse.move(5, 5);
  await watchRows(page);
  await shipper.sendAll(Array.from({ length: 3_000 }, (_, n) => line(n)));
  await until('rows to go', async () => (await logs.ids())[0] !== top);
  await pause(500);
  assert.deepEqual((await watched(page)).changes, [], 'a row that is read was taken away');
});
