import assert from 'node:assert/strict';
import { scenarios } from './lib/page.mjs';
import { until } from './lib/wait.mjs';

const scenario = scenarios();

scenario('an empty store shows how to send a first line, and the test line appears', {}, async ({ server, logs }) => {
  await logs.open(server.url);
  await logs.id('first-run').waitFor();
  assert.match(await logs.id('command-curl').innerText(), new RegExp(`curl -X POST '${server.url}/api/logs'`));
  assert.equal((await logs.state()).phase, 'live', 'live must already be on');

  await logs.id('send-test-line').click();
  const rows = await until('the test line', async () => {
    const shown = await logs.rows();
    return shown.length === 1 && shown;
  });
  assert.deepEqual(rows[0].slice(1), ['INFO', 'Hello from the first-run page', 'logmon-ui']);
  assert.equal(await logs.id('first-run').count(), 0);
  await logs.holdsAll(server);
});

scenario('the copied curl command is the one that works', {}, async ({ server, logs }) => {
  await logs.open(server.url);
  const command = await logs.id('command-curl').innerText();
  const body = /-d '(.+)'$/s.exec(command)[1];
  const url = /POST '([^']+)'/.exec(command)[1];
  const response = await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  assert.equal(response.status, 200);
  await until('its line', async () => (await logs.rows())[0]?.[2] === 'Hello, logmon');
});
