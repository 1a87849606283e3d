import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { Server } from './server.mjs';
import { Shipper } from './shipper.mjs';
import { until } from './wait.mjs';

const ARTIFACTS = path.join(import.meta.dirname, '..', 'artifacts');

/** Chromium as Debian packages it; the switches keep it from calling home. */
export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });

/** The page under test, and what these tests ask it. */
export class LogPage {
  constructor(page) {
    this.page = page;
    this.console = [];
    page.on('console', (message) => this.console.push({ type: message.type(), text: message.text() }));
    page.on('pageerror', (error) => this.console.push({ type: 'pageerror', text: String(error) }));
  }

  id(testid) {
    return this.page.getByTestId(testid);
  }

  ids() {
    return this.page.evaluate(() => window.__logmon.ids());
  }

  state() {
    return this.page.evaluate(() => window.__logmon.state());
  }

  violations() {
    return this.page.evaluate(() => window.__logmon.violations());
  }

  async open(url) {
    await this.page.goto(url);
    await this.phase('live');
  }

  phase(name) {
    return until(`the page to be ${name}`, async () => (await this.state()).phase === name);
  }

  /** The rows on screen from top to bottom, as texts of their cells. */
  rows() {
    return this.page.evaluate(() => {
      const view = document.querySelector('[data-testid="log-viewport"]').getBoundingClientRect();
      return [...document.querySelectorAll('[data-testid="log-row"]:not([hidden])')]
        .map((row) => ({ row, box: row.getBoundingClientRect() }))
        .filter(({ box }) => box.bottom > view.top + 1 && box.top < view.bottom - 1)
        .sort((a, b) => a.box.top - b.box.top)
        .map(({ row }) => [...row.children].map((cell) => cell.textContent));
    });
  }

  /** Waits until the page holds exactly the events of the store, each once. */
  async holdsAll(server, deadlineMs = 30_000) {
    let seen = [];
    let stored = [];
    await until('the page to hold every event', async () => {
      stored = (await server.allEvents()).map((event) => event.id);
      seen = await this.ids();
      return stored.length > 0 && seen.length >= stored.length;
    }, deadlineMs, 200);
    assert.equal(new Set(seen).size, seen.length, 'an event is on the page twice');
    assert.deepEqual([...seen].sort(), [...stored].sort());
    return seen;
  }
}

/**
 * One test with a server, a Forward client and a page of its own. Each ends with what must hold always:
 * the live stream had no hole or repeat, and nothing broke in the page.
 */
export function scenarios() {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
  });

  return function scenario(name, options, run) {
    test(name, { timeout: 120_000 }, async () => {
      const server = new Server(options.server);
      await server.start();
      const shipper = new Shipper(server, options.shipper);
      const context = await browser.newContext({ viewport: { width: 1280, height: 720 }, locale: 'en-US', reducedMotion: 'reduce', ...options.context });
      const logs = new LogPage(await context.newPage());
      try {
        await run({ server, shipper, logs, page: logs.page, context });
        if (!options.breaksStream) assert.deepEqual(await logs.violations(), []);
        assertQuiet(logs.console, options.mayFail ?? []);
      } catch (error) {
        await keep(name, logs, server).catch(() => undefined);
        throw error;
      } finally {
        await shipper.close();
        await context.close();
        await server.stop();
      }
    });
  };
}

function assertQuiet(lines, mayFail) {
  const bad = lines.filter(({ type, text }) => (type === 'error' || type === 'pageerror') && !mayFail.some((pattern) => pattern.test(text)));
  assert.deepEqual(bad, [], 'the page complained in the console');
}

async function keep(name, logs, server) {
  const folder = path.join(ARTIFACTS, name.replace(/[^a-z0-9]+/gi, '-').slice(0, 60));
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'server.log'), server.log);
  fs.writeFileSync(path.join(folder, 'console.json'), JSON.stringify(logs.console, null, 1));
  await logs.page.screenshot({ path: path.join(folder, 'page.png') });
}
