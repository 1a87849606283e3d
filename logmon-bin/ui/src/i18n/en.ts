import type { Level } from '../api/types';

const number = new Intl.NumberFormat('en');
const plural = new Intl.PluralRules('en');

function lines(count: number): string {
  return `${number.format(count)} ${plural.select(count) === 'one' ? 'line' : 'lines'}`;
}

function ago(seconds: number): string {
  return `${number.format(seconds)} s`;
}

/** The English catalogue is the type that every other one must satisfy. */
export const en = {
  name: 'English',
  tag: 'en',
  number: (value: number): string => number.format(value),
  title: 'logmon: live logs',
  table: {
    label: 'Log lines',
    timestamp: 'Timestamp',
    level: 'Level',
    message: 'Message',
    source: 'Source',
    noLevel: 'none',
    older: 'Load older',
    olderLoading: 'Loading older lines…',
    olderEnd: 'Nothing older in this range',
    olderGone: 'Older lines have left this view. Switch Live off to search them.',
  },
  gap: {
    lines: (count: number): string => `${lines(count)} not shown`,
    unknown: 'Some lines are not shown; how many is not known',
    reason: (reason: string): string => {
      switch (reason) {
        case 'slow_reader': return 'this page was too slow for them';
        case 'max_rate': return 'above the rate limit of this view';
        case 'retention': return 'removed by retention before they could be shown';
        case 'jumped': return 'skipped on your wish';
        case 'head': case 'resume': case 'resume_head': return 'skipped to the newest';
        case 'diverged': return 'the server lost its newest entries';
        case 'foreign_cursor': return 'another server answered';
        default: return reason;
      }
    },
    levels: (counts: readonly (readonly [string, number])[]): string =>
      counts.map(([level, count]) => `${level} ${number.format(count)}`).join(', '),
  },
  query: {
    label: 'Query',
    placeholder: 'Search: words, "a phrase", level>=warn, http.status>=500 …',
    run: 'Run the query',
    clear: 'Clear the query',
    at: (column: number): string => `Column ${number.format(column)}`,
    expected: (what: readonly string[]): string => `Expected: ${what.join('  ')}`,
  },
  levels: {
    label: 'Levels',
    chip: (level: Level): string => `${level}: click to switch, Alt-click for only this, Shift-click for this and above`,
  },
  source: {
    label: 'Source',
    all: 'ALL',
    search: 'Find or type a source',
    add: (name: string): string => `Add “${name}”`,
    remove: (name: string): string => `Remove ${name}`,
    none: 'No source seen yet',
    more: (count: number): string => `+${number.format(count)}`,
  },
  range: {
    label: 'Time range',
    '15m': 'Last 15 min',
    '1h': 'Last 1 h',
    '24h': 'Last 24 h',
    all: 'All time',
  },
  live: {
    on: 'Live',
    switchOn: 'Switch Live on',
    switchOff: 'Switch Live off and search the past',
    pause: 'Pause (Space)',
    resume: 'Resume (Space)',
    off: 'Search',
    connecting: 'Connecting…',
    live: 'Live',
    catchingUp: 'Catching up…',
    paused: 'Paused',
    waiting: 'Disconnected',
    pausedAt: (time: string): string => `Paused at ${time}`,
    resumeHere: 'Resume from here',
    resumeHead: 'Jump to newest',
    newLines: (count: number): string => `${number.format(count)} new ${plural.select(count) === 'one' ? 'line' : 'lines'}`,
    toNewest: 'To the newest line',
    announce: (count: number, errors: number): string =>
      errors > 0
        ? `${number.format(count)} new ${plural.select(count) === 'one' ? 'line' : 'lines'}, ${number.format(errors)} ${plural.select(errors) === 'one' ? 'error' : 'errors'}`
        : `${number.format(count)} new ${plural.select(count) === 'one' ? 'line' : 'lines'}`,
  },
  lost: {
    since: (seconds: number): string => `Connection lost ${ago(seconds)} ago.`,
    again: (seconds: number): string => (seconds > 0 ? `Trying again in ${ago(seconds)}` : 'Trying again…'),
    now: 'Now',
    promise: (time: string): string => `Nothing is lost: the view will continue from ${time}.`,
    promiseStart: 'Nothing is lost: the view will continue where it was.',
  },
  status: {
    rate: (value: number): string => `${number.format(value)} ev/s`,
    delay: (ms: number): string => (ms < 10_000 ? `delay ${number.format(ms)} ms` : `delay ${number.format(Math.round(ms / 1000))} s`),
    shown: (count: number): string => `shown ${number.format(count)}`,
    notShown: (count: number): string => `not shown ${number.format(count)}`,
    notShownAtLeast: (count: number): string => `not shown ${number.format(count)} or more`,
    matches: (count: number, exact: boolean): string => `${exact ? '' : 'at least '}${number.format(count)} ${plural.select(count) === 'one' ? 'match' : 'matches'}`,
    back: (count: number): string => `Back. ${lines(count)} caught up.`,
    searching: 'Searching…',
    partial: 'The search ended early; what is shown is not complete.',
    violation: 'The server broke the order of the live stream; the view started again from the last sure position.',
  },
  outputs: {
    waits: (name: string, count: number): string => `Output ${name} cannot be written to; ${number.format(count)} ${plural.select(count) === 'one' ? 'event waits' : 'events wait'}.`,
  },
  empty: {
    title: 'No logs yet',
    text: 'This page is live: the first line appears here the moment it is stored. Send one in the way you like:',
    curl: 'With curl',
    cli: 'With logmon itself',
    forward: 'From Fluent Bit, Fluentd or any Forward client',
    node: 'From Node.js with @fluent-org/logger',
    test: 'Send a test line',
    copy: 'Copy',
    copied: 'Copied',
    testMessage: 'Hello from the first-run page',
  },
  noMatch: {
    title: 'No line matches',
    live: 'New lines that match will appear here.',
    past: 'Nothing in this range. A longer range or fewer words may help.',
    clear: 'Remove all filters',
  },
  failure: {
    network: 'The server does not answer.',
    retry: 'Retry',
    request: (id: string): string => `Request ${id}`,
  },
  drawer: {
    title: 'Event',
    close: 'Close (Esc)',
    copyJson: 'Copy JSON',
    copyMessage: 'Copy message',
    message: 'Message',
    fields: 'Fields',
    more: (kilobytes: number): string => `Show all (${number.format(kilobytes)} KB)`,
  },
  page: {
    theme: (theme: string): string => `Theme: ${theme} (d)`,
    themes: { light: 'light', dark: 'dark', system: 'as the system' },
    language: 'Language',
    keys: 'Keys (?)',
  },
  keys: {
    title: 'Keys',
    close: 'Close',
    query: 'Query bar',
    esc: 'Close, leave a field',
    pause: 'Pause, resume',
    move: 'Next, previous line',
    page: 'Page',
    end: 'Newest, follow',
    home: 'Oldest loaded',
    open: 'Open the line',
    chips: 'Switch a level',
    copy: 'Copy the line',
    theme: 'Theme',
  },
};

export type Catalogue = typeof en;
