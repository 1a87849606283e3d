import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { line } from './lib/shipper.mjs';
import { pause, until } from './lib/wait.mjs';

const scenario = scenarios();
// While the server is down, the browser reports each connection that is refused.
const mayFail = [/WebSocket connection to .* failed/, /ERR_CONNECTION_(REFUSED|RESET)/];
const shipper = { eventRetry: { attempts: 50, backoff: 1, delay: 100, minDelay: 100, maxDelay: 300 } };

scenario('the server is killed under traffic and comes back: the view continues, complete and without repeats', { mayFail, shipper }, async ({ server, shipper: traffic, logs }) => {
  await logs.open(server.url);
  traffic.startTraffic(500, line);
  for (let round = 0; round < 2; round += 1) {
    const rows = (await logs.state()).rows;
    await until('traffic', async () => (await logs.state()).rows > rows + 300);
    await server.kill();
    await logs.id('lost').waitFor();
    assert.match(await logs.id('lost').innerText(), /Nothing is lost: the view will continue from \d\d:\d\d:\d\d\.\d{3}/);
    const held = (await logs.rows()).length;
    assert.ok(held > 0, 'the rows stay on screen');
    // The same ports: `server.http` and `server.forward` hold the ones of before.
    await server.start();
    await logs.phase('live');
    await logs.id('lost').waitFor({ state: 'detached' });
  }
  await pause(500);
  await traffic.stopTraffic();
  await logs.holdsAll(server);
  assert.equal((await logs.state()).notShown, 0);
});

scenario('"Now" does not wait for the next try', { mayFail }, async ({ server, shipper: traffic, logs }) => {
  await logs.open(server.url);
  await traffic.send(line(1));
  await until('the row', async () => (await logs.rows()).length === 1);
  await traffic.close();
  await server.kill();
  await logs.id('lost').waitFor();
  // Long enough that the next try is seconds away.
  await pause(4_000);
  await server.start();
  await logs.id('reconnect-now').click({ timeout: 2_000 }).catch(() => undefined);
  await logs.phase('live');
  await fetch(`${server.url}/api/logs`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ message: 'back' }) });
  await until('the next row', async () => (await logs.rows()).at(-1)?.[2] === 'back');
  await logs.holdsAll(server);
});
