// npm `@fluent-org/logger`

import fluent from '@fluent-org/logger';
import { many, timeOf } from './lib/records.mjs';
import { forwardAddress, holdsNow, scenario } from './lib/scenario.mjs';

const { EventTime, FluentClient } = fluent;

async function withClient(server, options, run) {
  const client = new FluentClient('app', {
    ack: { ackTimeout: 10_000 },
    socket: { ...forwardAddress(server), timeout: 3000 },
    ...options,
  });
  try {
    await run(client);
  } finally {
    await client.shutdown();
  }
}

for (const eventMode of ['Message', 'Forward', 'PackedForward', 'CompressedPackedForward']) {
  scenario(`@fluent-org/logger, ${eventMode}: milliseconds`, async (server) => {
    const pairs = many(120);
    await withClient(server, { eventMode, milliseconds: true }, (client) =>
      Promise.all(pairs.map(({ record }, n) => client.emit('web', record, timeOf(n).date))));
    await holdsNow(server, pairs.map(({ event }, n) => ({ ...event, tag: 'app.web', timestamp: timeOf(n).inMillis })));
  });

  scenario(`@fluent-org/logger, ${eventMode}: nanoseconds and whole seconds, several tags`, async (server) => {
    const pairs = many(90);
    const label = (n) => ['web', 'billing.api', '日本'][n % 3];
    const time = (n) => (n % 2 ? timeOf(n).date : new EventTime(timeOf(n).seconds, timeOf(n).nanos));
    await withClient(server, { eventMode, flushInterval: 5 }, (client) =>
      Promise.all(pairs.map(({ record }, n) => client.emit(label(n), record, time(n)))));
    await holdsNow(server, pairs.map(({ event }, n) => ({
      ...event,
      tag: `app.${label(n)}`,
      timestamp: n % 2 ? timeOf(n).inSeconds : timeOf(n).inNanos,
    })));
  });
}

// As an application of the first system sends its lines.
scenario('the snippet of the first system', async (server) => {
  const { host, port } = forwardAddress(server);
  const client = new FluentClient('app', { socket: { host, port, timeout: 3000 }, ack: { ackTimeout: 10_000 }, milliseconds: true });
  const lines = [
    { level: 'info', message: 'User logged in', source: 'auth-service', metadata: { userId: '12345', ip: '192.168.1.1', n: 0 } },
    { level: 'error', message: 'Database connection failed', source: 'api-server', metadata: { error: { code: 'ECONNREFUSED', port: 27017 }, n: 1 } },
  ];
  const log = (line, n) => client.emit('log', line, timeOf(n).date);
  await Promise.all(lines.map(log));
  await client.shutdown();
  await holdsNow(server, [
    {
      timestamp: timeOf(0).inMillis,
      tag: 'app.log',
      level: 'INFO',
      source: 'auth-service',
      message: 'User logged in',
      metadata: { userId: '12345', ip: '192.168.1.1', n: 0 },
    },
    {
      timestamp: timeOf(1).inMillis,
      tag: 'app.log',
      level: 'ERROR',
      source: 'api-server',
      message: 'Database connection failed',
      metadata: { error: { code: 'ECONNREFUSED', port: 27017 }, n: 1 },
    },
  ]);
});
