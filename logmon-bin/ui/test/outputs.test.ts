import { expect, test } from 'vitest';

import { read } from '../src/api/outputs';

test('only outputs in trouble are told of', () => {
  const outputs = [
    { name: 'well', behind: 5, trouble: null },
    { name: 'forward', behind: 3 },
    { name: 'mongodb', behind: 400, trouble: 'no server' },
    { name: 'new', behind: null, trouble: 'no account' },
  ];
  expect(read({ figures: { outputs } })).toEqual([
    { name: 'mongodb', lag: 400, trouble: 'no server' },
    { name: 'new', lag: 0, trouble: 'no account' },
  ]);
  expect(read({})).toEqual([]);
});
