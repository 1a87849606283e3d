// PyPI `fluent-logger`, driven by send.py. It never asks for acks.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { until } from '../browser/lib/wait.mjs';
import { stringifyExact } from './lib/exact.mjs';
import { many, timeOf } from './lib/records.mjs';
import { forwardAddress, holdsSoon, scenario, stored } from './lib/scenario.mjs';

const ROOT = path.join(import.meta.dirname, '..', '..');
const OWN = path.join(ROOT, '.venv', 'bin', 'python');
const PYTHON = process.env.PYTHON ?? (fs.existsSync(OWN) ? OWN : 'python3');

const same = (number) => number;

/** Resolves when the script has ended well; what it sent is on its way then. */
function send(server, job) {
  return new Promise((resolve, reject) => {
    const script = path.join(import.meta.dirname, 'send.py');
    const child = execFile(PYTHON, [script], { timeout: 30_000 }, (error, _, complaint) =>
      (error ? reject(new Error(`send.py: ${complaint}`, { cause: error })) : resolve()));
    child.stdin.end(stringifyExact({ ...forwardAddress(server), tag: 'app', ...job }));
  });
}

for (const variant of ['sync', 'async']) {
  scenario(`fluent-logger for Python, ${variant}: whole seconds`, async (server) => {
    const pairs = many(120, same);
    const events = pairs.map(({ record }, n) => ({ label: 'web', time: [timeOf(n).seconds, null], record }));
    await send(server, { variant, events });
    await holdsSoon(server, pairs.map(({ event }, n) => ({ ...event, tag: 'app.web', timestamp: timeOf(n).inSeconds })));
  });

  scenario(`fluent-logger for Python, ${variant}: nanosecond_precision`, async (server) => {
    const pairs = many(90, same);
    const label = (n) => ['web', 'billing.api', '日本'][n % 3];
    const events = pairs.map(({ record }, n) => ({ label: label(n), time: [timeOf(n).seconds, timeOf(n).nanos], record }));
    await send(server, { variant, nanosecond_precision: true, events });
    await holdsSoon(server, pairs.map(({ event }, n) => ({ ...event, tag: `app.${label(n)}`, timestamp: timeOf(n).inNanos })));
  });

  scenario(`fluent-logger for Python, ${variant}: the client's own clock`, async (server) => {
    const before = new Date().toISOString();
    const events = [{ label: 'now', time: null, record: { message: 'now', n: 0 } }];
    await send(server, { variant, nanosecond_precision: true, events });
    const [event] = await until('the event', async () => {
      const found = await stored(server);
      return found.length > 0 && found;
    });
    assert.equal(event.tag, 'app.now');
    assert.ok(event.timestamp >= before && event.timestamp <= new Date().toISOString(), event.timestamp);
  });
}
