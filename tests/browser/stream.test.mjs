import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { until } from './lib/wait.mjs';

const scenario = scenarios();

/** Puts itself between page and server; `change` sees every message of the server and gives what the page gets (null: nothing). */
async function between(page, change) {
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => server.send(message));
    server.onMessage((message) => {
      const changed = change(JSON.parse(message));
      if (changed) socket.send(JSON.stringify(changed));
    });
  });
}

scenario('a batch that is lost on the way is noticed, and fetched again', { breaksStream: true, mayFail: [/out of order/] }, async ({ server, shipper, logs, page }) => {
  let batches = 0;
  await between(page, (message) => {
    if (message.t !== 'batch') return message;
    batches += 1;
    return batches === 3 ? null : message;
  });
  await logs.open(server.url);
  for (let n = 0; n < 6; n += 1) {
    await shipper.send(line(n));
    await until('the server to send it', () => batches > n);
  }
  await logs.holdsAll(server);
  const violations = await logs.violations();
  assert.equal(violations.length, 1);
  assert.ok(BigInt(violations[0].got) > BigInt(violations[0].expected));
  assert.ok(logs.console.some(({ type, text }) => type === 'error' && /out of order/.test(text)), 'it is reported, not hidden');
});

scenario('what the server says it left out is a row with the exact count of each level', {}, async ({ server, shipper, logs, page }) => {
  let swapped = false;
  await between(page, (message) => {
    if (message.t !== 'batch' || swapped) return message;
    swapped = true;
    const { t, logs: left, n, scanned, matched, ...range } = message;
    return { ...range, t: 'dropped', count: 5_120, by_level: { INFO: 5_100, DEBUG: 20 }, reason: 'slow_reader' };
  });
  await logs.open(server.url);
  await shipper.send(line(0));
  await logs.id('gap-row').waitFor();
  assert.match(await logs.id('gap-row').innerText(), /5,120 lines not shown \(DEBUG 20, INFO 5,100\): this page was too slow/);
  await until('the count in the status bar', async () => (await logs.id('status-not-shown').getAttribute('data-count')) === '5120');
  await logs.id('language-ja').click();
  assert.match(await logs.id('gap-row').innerText(), /5,120 行は表示されていません/);
  await shipper.send(line(1, { message: 'after the gap' }));
  await until('the next row', async () => (await logs.rows()).at(-1)?.[2] === 'after the gap');
});

scenario('a connection cut by the network in between continues where it ended', {}, async ({ server, shipper, logs, page }) => {
  const sockets = [];
  await page.routeWebSocket(/\/ws$/, (socket) => {
    sockets.push(socket);
    socket.connectToServer();
  });
  await logs.open(server.url);
  shipper.startTraffic(400, line);
  for (let cut = 1; cut <= 4; cut += 1) {
    const { rows } = await logs.state();
    await until('traffic', async () => (await logs.state()).rows > rows + 100);
    await sockets.at(-1).close({ code: 1011, reason: 'cut' });
    await until('another connection', () => sockets.length > cut);
    await logs.phase('live');
  }
  await shipper.stopTraffic();
  await logs.holdsAll(server);
  assert.equal((await logs.state()).notShown, 0);
});

scenario('a line of 200 KB is cut in the row and whole in the drawer', {}, async ({ server, shipper, logs, page }) => {
  const long = `begin ${'x'.repeat(200_000)} end`;
  await shipper.send(line(1, { message: long }));
  await logs.open(server.url);
  await until('the row', async () => (await logs.rows()).length === 1);
  assert.ok((await logs.rows())[0][2].length < 5_000);
  await page.getByTestId('log-row').first().click();
  const message = logs.id('drawer-message');
  assert.ok((await message.innerText()).length < 70_000);
  await message.getByRole('button').click();
  assert.equal(await message.innerText(), long);
});
