import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { until } from '../../browser/lib/wait.mjs';

const PROGRAM = path.join(import.meta.dirname, '../../../.tools/mongodb/secantusdb.scripts/secantusd-rs');

/** Whether there is a MongoDB to test with. */
export const hasMongoDb = Boolean(process.env.LOGMON_TEST_MONGODB_URI) || fs.existsSync(PROGRAM);

/**
 * A connection string for a database of this name, on the MongoDB that `LOGMON_TEST_MONGODB_URI` names or
 * on a server that is started for the test.
 */
export async function mongoDb(context, database) {
  const given = process.env.LOGMON_TEST_MONGODB_URI;
  if (given) {
    const [server, options = ''] = given.split('?');
    return `${server.replace(/\/+$/, '')}/${database}?${options}`;
  }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'logmon-mongodb-'));
  const child = spawn(PROGRAM, ['--host', '127.0.0.1', '--port', '0', '--storage-path', path.join(folder, 'data'),
    '--cache-size', '256M', '--log-file-max', '64MB'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  context.after(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    fs.rmSync(folder, { recursive: true, force: true });
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { said += data; });
  const port = await until('the MongoDB to listen', () => /listening on 127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
  return `mongodb://127.0.0.1:${port}/${database}`;
}
