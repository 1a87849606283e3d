// The Node clients with a shared key, users, TLS and certificates of their own.

import assert from 'node:assert/strict';
import fluent from '@fluent-org/logger';
import fluentLogger from 'fluent-logger';
import { many, timeOf } from './lib/records.mjs';
import { forwardAddress, holdsNow, scenario, stored } from './lib/scenario.mjs';
import { SHARED_KEY, USER, clientTls, clientTlsWithCertificate, configs } from './lib/secure.mjs';

const { FluentClient } = fluent;

const key = { clientHostname: 'client.example', sharedKey: SHARED_KEY };
const user = { ...key, ...USER };
const pairs = many(60);
const expected = pairs.map(({ event }, n) => ({ ...event, tag: 'app.web', timestamp: timeOf(n).inSeconds }));

/** Emits all with npm `fluent-logger` and resolves when each was acked. */
async function withFluentLogger(server, { security, tls }, eventMode = 'Message') {
  const sender = fluentLogger.createFluentSender('app', {
    ...forwardAddress(server),
    requireAckResponse: true,
    ackResponseTimeout: 10_000,
    enableReconnect: false,
    flushInterval: 5,
    eventMode,
    security,
    ...(tls && { tls: true, tlsOptions: tls }),
  });
  const failed = new Promise((_, reject) => sender.on('error', reject));
  const acked = pairs.map(({ record }, n) => new Promise((resolve, reject) => {
    sender.emit('web', record, timeOf(n).date, (error) => (error ? reject(error) : resolve()));
  }));
  try {
    await Promise.race([Promise.all(acked), failed]);
  } finally {
    await new Promise((resolve) => sender.end(null, null, resolve));
  }
}

/** The same with npm `@fluent-org/logger`. */
async function withFluentOrg(server, { security, tls }, eventMode = 'PackedForward') {
  const client = new FluentClient('app', {
    ack: { ackTimeout: 10_000 },
    socket: { ...forwardAddress(server), timeout: 3000, ...(tls && { tls }) },
    security,
    eventMode,
  });
  try {
    await Promise.all(pairs.map(({ record }, n) => client.emit('web', record, timeOf(n).date)));
  } finally {
    await client.shutdown();
  }
}

const cases = [
  ['a shared key', configs.key, { security: key }],
  ['a user', configs.users, { security: user }],
  ['TLS', configs.tls, { tls: clientTls }],
  ['TLS and a shared key', configs.tlsAndKey, { security: key, tls: clientTls }],
  ['a certificate, a shared key and a user', configs.certificate, { security: user, tls: clientTlsWithCertificate }],
];

for (const [what, config, options] of cases) {
  for (const eventMode of ['Message', 'PackedForward', 'CompressedPackedForward']) {
    scenario(`fluent-logger with ${what}, ${eventMode}`, async (server) => {
      await withFluentLogger(server, options, eventMode);
      await holdsNow(server, expected);
    }, config);

    scenario(`@fluent-org/logger with ${what}, ${eventMode}`, async (server) => {
      await withFluentOrg(server, options, eventMode);
      await holdsNow(server, expected);
    }, config);
  }
}

// What must not get in does not, and the client is told why.
const strangers = [
  ['the wrong key', configs.key, { security: { ...key, sharedKey: 'guessed' } }, /shared_key mismatch/],
  ['the wrong password', configs.users, { security: { ...user, password: 'guessed' } }, /username\/password mismatch/],
];

for (const [what, config, options, reason] of strangers) {
  scenario(`fluent-logger with ${what}`, async (server) => {
    await assert.rejects(withFluentLogger(server, options), reason);
    assert.deepEqual(await stored(server), []);
    assert.match(server.log, /client refused: .* hostname="client.example"/);
  }, config);
}
