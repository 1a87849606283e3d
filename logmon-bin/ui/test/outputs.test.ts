import { expect, test } from 'vitest';

import { read } from '../src/api/outputs';

test('only outputs in trouble are told of', () => {
  const outputs = [
    { name: 'well', lag: 5, trouble: null },
    { name: 'forward', lag: 3 },
    { name: 'mongodb', lag: 400, trouble: 'no server' },
    { name: 'new', lag: null, trouble: 'no account' },
  ];
  expect(read({ figures: { outputs } })).toEqual([
    { name: 'mongodb', lag: 400, trouble: 'no server' },
    { name: 'new', lag: 0, trouble: 'no account' },
  ]);
  expect(read({})).toEqual([]);
});
