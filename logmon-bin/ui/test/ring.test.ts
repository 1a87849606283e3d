import { describe, expect, it } from 'vitest';
import { Ring } from '../src/buffer/ring';

describe('Ring', () => {
  it('keeps the newest rows and their indexes', () => {
    const ring = new Ring<number>(3);
    const dropped = [1, 2, 3, 4, 5].map((value) => ring.push(value));
    expect(dropped).toEqual([undefined, undefined, undefined, 1, 2]);
    expect([...ring]).toEqual([3, 4, 5]);
    expect(ring.get(ring.end - 1)).toBe(5);
    expect(ring.get(ring.first)).toBe(3);
    expect(ring.get(ring.first - 1)).toBeUndefined();
    expect(ring.get(ring.end)).toBeUndefined();
  });

  it('does not change the index of a row when others come at either end', () => {
    const ring = new Ring<string>(10);
    ring.push('a');
    const index = ring.first;
    ring.unshift(['x', 'y']);
    ring.push('b');
    expect(ring.get(index)).toBe('a');
    expect([...ring]).toEqual(['x', 'y', 'a', 'b']);
  });

  it('takes only as many older rows as fit, the nearest first', () => {
    const ring = new Ring<number>(4);
    ring.push(8);
    ring.push(9);
    expect(ring.unshift([1, 2, 3])).toBe(2);
    expect([...ring]).toEqual([2, 3, 8, 9]);
    expect(ring.unshift([0])).toBe(0);
  });

  it('never uses an index again after a reset, not even for older rows', () => {
    const ring = new Ring<number>(3);
    for (let value = 0; value < 5; value += 1) ring.push(value);
    const used = ring.end - 1;
    ring.reset([10]);
    ring.unshift([8, 9]);
    expect(ring.first).toBeGreaterThan(used);
    expect([...ring]).toEqual([8, 9, 10]);
  });

  it('agrees with a plain array over a long random run', () => {
    const ring = new Ring<number>(7);
    let model: number[] = [];
    let seed = 1;
    for (let step = 0; step < 5_000; step += 1) {
      seed = (seed * 48_271) % 2_147_483_647;
      if (seed % 5 === 0) {
        const rows = [step, step + 0.5].slice(0, 7 - model.length);
        expect(ring.unshift([step, step + 0.5])).toBe(rows.length);
        model = [...[step, step + 0.5].slice(2 - rows.length), ...model];
      } else if (seed % 97 === 0) {
        ring.reset([step]);
        model = [step];
      } else {
        ring.push(step);
        model = [...model, step].slice(-7);
      }
      expect([...ring]).toEqual(model);
    }
  });
});
