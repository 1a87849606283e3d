// npm `fluent-logger`

import fluentLogger from 'fluent-logger';
import EventTime from 'fluent-logger/lib/event-time.js';
import { Uint64BE } from 'int64-buffer';
import { many, timeOf } from './lib/records.mjs';
import { forwardAddress, holdsNow, scenario } from './lib/scenario.mjs';

const big = (number) => new Uint64BE(String(number));

/** Emits all and resolves when each was acked. */
async function send(server, options, emissions) {
  const sender = fluentLogger.createFluentSender('app', {
    ...forwardAddress(server),
    requireAckResponse: true,
    ackResponseTimeout: 10_000,
    enableReconnect: false,
    flushInterval: 5,
    ...options,
  });
  const failed = new Promise((_, reject) => sender.on('error', reject));
  const acked = emissions.map(({ label, record, time }) => new Promise((resolve, reject) => {
    sender.emit(label, record, time, (error) => (error ? reject(error) : resolve()));
  }));
  await Promise.race([Promise.all(acked), failed]);
  await new Promise((resolve) => sender.end(null, null, resolve));
}

for (const eventMode of ['Message', 'PackedForward', 'CompressedPackedForward']) {
  scenario(`fluent-logger, ${eventMode}: whole seconds`, async (server) => {
    const pairs = many(120, big);
    await send(server, { eventMode }, pairs.map(({ record }, n) => ({ label: 'web', record, time: timeOf(n).date })));
    await holdsNow(server, pairs.map(({ event }, n) => ({ ...event, tag: 'app.web', timestamp: timeOf(n).inSeconds })));
  });

  scenario(`fluent-logger, ${eventMode}: nanoseconds, several tags`, async (server) => {
    const pairs = many(90, big);
    const label = (n) => ['web', 'billing.api', '日本'][n % 3];
    const time = (n) => new EventTime(timeOf(n).seconds, timeOf(n).nanos);
    await send(server, { eventMode }, pairs.map(({ record }, n) => ({ label: label(n), record, time: time(n) })));
    await holdsNow(server, pairs.map(({ event }, n) => ({ ...event, tag: `app.${label(n)}`, timestamp: timeOf(n).inNanos })));
  });
}
