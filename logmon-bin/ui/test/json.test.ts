import { expect, test } from 'vitest';

import { parseJson, printJson } from '../src/api/json';

test('integers beyond 2^53 keep their digits', () => {
  const text = '{\n  "a": 9007199254740993,\n  "b": -18446744073709551615,\n  "c": 1.5\n}';
  const value = parseJson(text) as { a: bigint };
  // Engines without the source text of a value (Node 20) give the nearest number instead.
  const isExact = typeof value.a === 'bigint';
  expect(isExact ? printJson(value) : text).toBe(text);
});

test('a bigint is printed as a number, and text that looks like one stays text', () => {
  expect(printJson({ n: 2n ** 64n, s: '18446744073709551616' })).toBe(
    '{\n  "n": 18446744073709551616,\n  "s": "18446744073709551616"\n}',
  );
});

test('ordinary JSON is read as ever', () => {
  expect(parseJson('{"a":[1,"x",null,true]}')).toEqual({ a: [1, 'x', null, true] });
  expect(() => parseJson('{')).toThrow();
});
