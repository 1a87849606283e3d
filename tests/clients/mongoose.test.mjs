// npm `mongoose`: the model of the first system reads what logmon has written.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fluent from '@fluent-org/logger';
import mongoose from 'mongoose';
import { Server } from '../browser/lib/server.mjs';
import { until } from '../browser/lib/wait.mjs';
import { hasMongoDb, mongoDb } from './lib/mongodb.mjs';
import { forwardAddress } from './lib/scenario.mjs';

const LEVELS = ['info', 'warn', 'error', 'debug'];
const SOURCES = ['billing-api', 'web'];

/** As the first system has it. */
const logSchema = new mongoose.Schema({
  timestamp: { type: Date, required: true, index: true },
  level: { type: String, required: true, enum: ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'] },
  message: { type: String, required: true },
  source: { type: String, required: true },
  metadata: { type: mongoose.Schema.Types.Mixed, default: {} },
  createdAt: { type: Date, default: Date.now },
});

test('the model of the first system finds documents by level and source', { skip: !hasMongoDb, timeout: 60_000 }, async (context) => {
  const uri = await mongoDb(context, `logmon_test_mongoose_${process.pid}`);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'logmon-mongoose-'));
  context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const config = path.join(folder, 'logmon.toml');
  fs.writeFileSync(config, `[[output]]\nkind = "mongodb"\nuri = "${uri}"\nfrom = "oldest"\nmin_pool_size = 0\n`);
  const server = new Server(['--config', config]);
  await server.start();
  context.after(() => server.stop());
  const client = new fluent.FluentClient('app', { ack: { ackTimeout: 10_000 }, milliseconds: true, socket: forwardAddress(server) });
  const sent = Array.from({ length: 40 }, (_, n) => ({
    level: LEVELS[n % 4], source: SOURCES[n % 2], message: `line ${n}`, n, user: { id: `u-${n}` },
  }));
  const date = new Date('2026-11-22T10:00:00.123Z');
  await Promise.all(sent.map((record) => client.emit('web', record, date)));
  await client.shutdown();

  const connection = await mongoose.createConnection(uri, { autoIndex: false, serverSelectionTimeoutMS: 5_000 }).asPromise();
  try {
    const Log = connection.model('Log', logSchema, 'logs');
    await until('all documents', async () => (await Log.countDocuments()) === sent.length);
    const found = await Log.find({ level: 'ERROR', source: 'billing-api' }).sort({ timestamp: -1, _id: -1 });
    const wanted = sent.filter(({ level, source }) => level === 'error' && source === 'billing-api');
    assert.deepEqual(found.map(({ message }) => message).sort(), wanted.map(({ message }) => message).sort());
    for (const document of found) {
      await document.validate();
      assert.equal(document.timestamp.getTime(), date.getTime());
      assert.ok(document.createdAt instanceof Date);
      assert.equal(document.metadata.user.id, `u-${document.metadata.n}`);
    }
    await connection.dropDatabase();
  } finally {
    await connection.close(true);
  }
});
