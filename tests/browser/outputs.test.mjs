import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { scenarios } from './lib/page.mjs';
import { until } from './lib/wait.mjs';

/** A port that nobody listens on: it was given by the system and given back. */
async function nobody() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'logmon-browser-'));
const config = path.join(folder, 'logmon.toml');
fs.writeFileSync(config, `[[output]]\nkind = "mongodb"\nuri = "mongodb://127.0.0.1:${await nobody()}/logs?serverSelectionTimeoutMS=200"\nfrom = "oldest"\n`);

after(() => fs.rmSync(folder, { recursive: true }));

const scenario = scenarios();

scenario('an output that cannot be written to is told, with what waits', { server: ['--config', config] }, async ({ server, logs }) => {
  await logs.open(server.url);
  const line = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '[{"message":"one"},{"message":"two"}]' };
  assert.equal((await fetch(`${server.url}/api/logs`, line)).status, 200);
  const told = await until('the banner', async () => {
    const banner = logs.id('output-waits');
    const text = (await banner.count()) > 0 ? await banner.innerText() : '';
    return text.includes('2 events wait') && text;
  });
  assert.match(told, /^Output mongodb cannot be written to; 2 events wait\./);
  // Everything else goes on.
  await until('the lines', async () => (await logs.rows()).length === 2);
});
