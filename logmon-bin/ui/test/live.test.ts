import { describe, expect, it } from 'vitest';
import { backoff } from '../src/live/backoff';
import { Continuity } from '../src/live/continuity';
import { parseMessage } from '../src/live/messages';

describe('continuity', () => {
  it('accepts ranges that touch, also beyond what a number can hold', () => {
    const continuity = new Continuity();
    expect(continuity.check('a', 1, '9007199254740993', '9007199254740995')).toBeNull();
    expect(continuity.check('a', 1, '9007199254740996', '9007199254741000')).toBeNull();
    expect(continuity.check('a', 1, '9007199254741001', '9007199254741000')).toBeNull();
    expect(continuity.check('a', 1, '9007199254741001', '9007199254741001')).toBeNull();
  });

  it('finds a hole and a repeat', () => {
    for (const got of ['12', '10']) {
      const continuity = new Continuity();
      continuity.check('a', 1, '1', '10');
      expect(continuity.check('a', 1, got, '20')).toEqual({ sub: 'a', epoch: 1, expected: '11', got });
    }
  });

  it('begins anew with another subscription, epoch or connection', () => {
    const continuity = new Continuity();
    continuity.check('a', 1, '1', '10');
    expect(continuity.check('a', 2, '5', '6')).toBeNull();
    expect(continuity.check('b', 2, '50', '60')).toBeNull();
    continuity.reset();
    expect(continuity.check('b', 2, '7', '8')).toBeNull();
  });
});

describe('backoff', () => {
  it('doubles from 250 ms to 10 s', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 60].map((attempt) => backoff(attempt, () => 0))).toEqual([250, 500, 1000, 2000, 4000, 8000, 10000, 10000]);
  });

  it('takes off up to a quarter', () => {
    expect(backoff(2, () => 1)).toBe(750);
  });
});

describe('messages', () => {
  it('reads what has a kind and passes over the rest', () => {
    expect(parseMessage('{"t":"pong","n":1}')).toEqual({ t: 'pong', n: 1 });
    for (const text of ['', '{', '[]', 'null', '{"n":1}', '{"t":3}']) expect(parseMessage(text)).toBeNull();
  });
});
