import fluent from '@fluent-org/logger';
import { pause } from './wait.mjs';

const { FluentClient } = fluent;

/** A Forward client that asks for acks, so a test knows when the server has taken an event over. */
export class Shipper {
  #client;
  #running = false;
  #loop = null;
  sent = 0;
  failed = 0;

  constructor(server, options = {}) {
    const [host, port] = server.forward.split(':');
    this.#client = new FluentClient('app', {
      eventMode: 'PackedForward',
      // Times as EventTime; without it they are cut to whole seconds.
      milliseconds: true,
      flushInterval: 5,
      sendQueueIntervalFlushLimit: { length: 5_000 },
      ack: { ackTimeout: 5_000 },
      socket: { host, port: Number(port), timeout: 5_000, reconnect: { backoff: 2, delay: 50, minDelay: 50, maxDelay: 300 } },
      ...options,
    });
  }

  /** Resolves when the event is acked. */
  async send(record, date = new Date()) {
    await this.#client.emit(record, date);
    this.sent += 1;
  }

  async sendAll(records) {
    await Promise.all(records.map((record) => this.send(record)));
  }

  /** Sends `perSecond` events each second, until `stopTraffic`. */
  startTraffic(perSecond, record) {
    this.#running = true;
    const begun = Date.now();
    let made = 0;
    const pending = new Set();
    this.#loop = (async () => {
      while (this.#running) {
        const due = Math.floor(((Date.now() - begun) * perSecond) / 1000);
        for (; made < due; made += 1) {
          const one = this.send(record(made)).catch(() => { this.failed += 1; }).finally(() => pending.delete(one));
          pending.add(one);
        }
        await pause(10);
      }
      await Promise.all(pending);
    })();
  }

  /** Resolves when everything that was sent is acked or given up. */
  async stopTraffic() {
    this.#running = false;
    await this.#loop;
  }

  async close() {
    this.#running = false;
    await this.#client.shutdown().catch(() => undefined);
  }
}

const LEVELS = ['info', 'info', 'debug', 'info', 'warn', 'trace', 'info', 'error', 'info', 'fatal'];
const SOURCES = ['billing-api', 'web', 'checkout'];

/** An ordinary line, told apart by its number. */
export function line(n, extra = {}) {
  return { level: LEVELS[n % LEVELS.length], source: SOURCES[n % SOURCES.length], message: `line ${n} of the day`, n, ...extra };
}
