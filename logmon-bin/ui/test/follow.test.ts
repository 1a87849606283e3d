import { describe, expect, it } from 'vitest';
import { FOLLOWING, arrived, moved, stop } from '../src/list/follow';

describe('follow rule', () => {
  it('stops at once on any movement upwards, also within the last pixels', () => {
    expect(moved(FOLLOWING, -1, 1).following).toBe(false);
    expect(moved(FOLLOWING, -300, 300).following).toBe(false);
  });

  it('goes on only when a movement downwards reaches the end', () => {
    const reading = stop(FOLLOWING);
    expect(moved(reading, 50, 25).following).toBe(false);
    expect(moved(reading, 50, 24).following).toBe(true);
    expect(moved(reading, 0, 0).following).toBe(false);
  });

  it('counts what came since, and remembers the highest level', () => {
    let state = stop(FOLLOWING);
    state = arrived(state, 30, 2);
    state = arrived(state, 7, 4);
    state = arrived(state, 1, 0);
    expect(state).toEqual({ following: false, unseen: 38, highest: 4 });
    expect(stop(state)).toBe(state);
    expect(moved(state, 1, 0)).toEqual(FOLLOWING);
  });

  it('counts nothing while following', () => {
    expect(arrived(FOLLOWING, 100, 5)).toBe(FOLLOWING);
  });
});
