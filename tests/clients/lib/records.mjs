// What the clients send, and beside it, written out by hand, what must be found.

/** Text of many scripts, and what breaks naive escaping. */
const TEXT = 'Zürich 接続失敗 "quoted" \\back\\slash\ttab\nline 🚀 \u0000 end';

/**
 * Pairs of a record and of the event it must become. `n` tells them apart. `big` turns a BigInt
 * into what a client takes for one; a client that has nothing for it leaves it away.
 */
export function samples(big) {
  const large = big
    ? [[
        { level: 'info', message: 'large numbers', most: big(18446744073709551615n), above: big(9007199254740993n) },
        { level: 'INFO', source: null, message: 'large numbers', metadata: { most: 18446744073709551615n, above: 9007199254740993n } },
      ]]
    : [];
  const pairs = [
    [
      { level: 'error', message: 'charge failed', source: 'billing-api', metadata: { http: { status: 502, path: '/pay' }, user: 'u-17' } },
      { level: 'ERROR', source: 'billing-api', message: 'charge failed', metadata: { http: { status: 502, path: '/pay' }, user: 'u-17' } },
    ],
    [
      { level: 'WARN', message: TEXT, source: '決済', 'キー': ['値', { 'ключ': ['значение', []] }] },
      { level: 'WARN', source: '決済', message: TEXT, metadata: { 'キー': ['値', { 'ключ': ['значение', []] }] } },
    ],
    [
      { level: 'debug', message: 'numbers', values: [0, -1, 127, 128, -129, 65536, -2147483649, 9007199254740991, -9007199254740991, 1.5, -0.1, 1e300] },
      { level: 'DEBUG', source: null, message: 'numbers', metadata: { values: [0, -1, 127, 128, -129, 65536, -2147483649, 9007199254740991, -9007199254740991, 1.5, -0.1, 1e300] } },
    ],
    [
      { message: 'neither level nor source', nothing: null, yes: true, no: false, empty: {}, none: [], blank: '' },
      { level: null, source: null, message: 'neither level nor source', metadata: { nothing: null, yes: true, no: false, empty: {}, none: [], blank: '' } },
    ],
    [
      { severity: 'fatal', msg: 'other names for the same', service: 'web', 'a.b': 1, a: { b: 2 } },
      { level: 'FATAL', source: 'web', message: 'other names for the same', metadata: { 'a.b': 1, a: { b: 2 } } },
    ],
    [
      { level: 'notice', message: '', source: '', long: 'x'.repeat(70_000) },
      { level: 'INFO', source: '', message: '', metadata: { level_raw: 'notice', long: 'x'.repeat(70_000) } },
    ],
    ...large,
  ];
  return pairs.map(([record, event], n) => ({
    record: { ...record, n },
    event: { ...event, metadata: { ...event.metadata, n } },
  }));
}

/** The samples over and over, until there are `count`. */
export function many(count, big) {
  const some = samples(big);
  return Array.from({ length: count }, (_, n) => {
    const { record, event } = some[n % some.length];
    return { record: { ...record, n }, event: { ...event, metadata: { ...event.metadata, n } } };
  });
}

/** 2026-01-02T03:04:05Z in Unix seconds: no time of a sample is the time of the test. */
export const BASE = 1767323045;

/** Seconds and nanoseconds of the `n`-th sample, and the same as RFC 3339. */
export function timeOf(n) {
  const nanos = (n * 7_654_321 + 1) % 1_000_000_000;
  const whole = new Date((BASE + n) * 1000).toISOString().slice(0, 19);
  return {
    seconds: BASE + n,
    nanos,
    date: new Date((BASE + n) * 1000 + 678),
    inSeconds: `${whole}.000000000Z`,
    inMillis: `${whole}.678000000Z`,
    inNanos: `${whole}.${String(nanos).padStart(9, '0')}Z`,
  };
}
