import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { until } from './wait.mjs';

const BIN = process.env.LOGMON_BIN;
if (!BIN) throw new Error('LOGMON_BIN must name the logmon binary to test');

const FOREVER = '2200-01-01T00:00:00Z';

/** One real logmon with a data directory of its own. It can be killed and started again on the same ports. */
export class Server {
  #child = null;
  #output = [];

  /** `options` are more of the command line's. */
  constructor(options = []) {
    this.options = options;
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'logmon-browser-'));
    this.forward = '127.0.0.1:0';
    this.http = '127.0.0.1:0';
  }

  get url() {
    return `http://${this.http}`;
  }

  get log() {
    return this.#output.join('');
  }

  async start() {
    const addresses = path.join(this.dir, 'logmon.addr');
    // Of a server before this one; what is read below must be of this one.
    fs.rmSync(addresses, { force: true });
    const child = spawn(BIN, ['run', '--data-dir', this.dir, '--forward', this.forward, '--http', this.http, ...this.options], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => this.#output.push(String(data)));
    const text = await until('the server to listen', () => {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}: ${this.log}`);
      const read = fs.existsSync(addresses) ? fs.readFileSync(addresses, 'utf8') : '';
      return /^forward=.+$/m.test(read) && /^http=.+$/m.test(read) ? read : null;
    });
    this.forward = /^forward=(.+)$/m.exec(text)[1].trim();
    this.http = /^http=(.+)$/m.exec(text)[1].trim();
    await until('/health to answer', async () => (await fetch(`${this.url}/health`)).ok);
  }

  /** As a power cut would: no handler runs. */
  async kill() {
    await this.#end('SIGKILL');
  }

  async stop() {
    await this.#end('SIGTERM');
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  async #end(signal) {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const patience = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(patience);
  }

  /** Every event of the store, oldest first. */
  async allEvents(params = {}) {
    const events = [];
    let cursor = null;
    do {
      const query = new URLSearchParams({ from: '0', to: FOREVER, limit: '10000', order: 'asc', ...params });
      if (cursor) query.set('cursor', cursor);
      const response = await fetch(`${this.url}/api/logs?${query}`);
      if (!response.ok) throw new Error(`search answered ${response.status}: ${await response.text()}`);
      const answer = await response.json();
      events.push(...answer.logs);
      cursor = answer.next_cursor;
    } while (cursor);
    return events;
  }

  /** The problem that the server sees in a query, or null. */
  async problem(q, language) {
    const response = await fetch(`${this.url}/api/logs?${new URLSearchParams({ q, limit: '1' })}`, {
      headers: { 'Accept-Language': language },
    });
    return response.ok ? null : response.json();
  }
}
