import { describe, expect, it } from 'vitest';
import { MAX_SHEET, ROW, clampTop, distanceToEnd, fromScrollTop, maxTop, minTop, sheetHeight, toScrollTop, topShowing, type Extent } from '../src/list/scroll';

const few: Extent = { first: 0, end: 5, row: ROW, view: 600 };
const some: Extent = { first: -40, end: 1_000, row: ROW, view: 605 };
const huge: Extent = { first: 7_000_000, end: 8_000_000, row: ROW, view: 777 };

describe('scroll mapping', () => {
  it('does not scroll what fits on the screen', () => {
    expect(maxTop(few)).toBe(minTop(few));
    expect(sheetHeight(few)).toBe(600);
    expect(toScrollTop(0, few)).toBe(0);
    expect(fromScrollTop(0, few)).toBe(0);
  });

  it('is one to one while the sheet is short enough', () => {
    expect(sheetHeight(some)).toBe(1_040 * ROW);
    expect(fromScrollTop(123, some)).toBe(minTop(some) + 123);
    expect(toScrollTop(minTop(some) + 123, some)).toBe(123);
  });

  it('never asks the browser for more than it can give', () => {
    expect(sheetHeight(huge)).toBe(MAX_SHEET);
    expect(toScrollTop(maxTop(huge), huge)).toBeCloseTo(MAX_SHEET - huge.view, 6);
    expect(fromScrollTop(MAX_SHEET - huge.view, huge)).toBeCloseTo(maxTop(huge), 6);
    for (const part of [0, 0.1, 0.5, 0.9, 1]) {
      const top = minTop(huge) + part * (maxTop(huge) - minTop(huge));
      expect(fromScrollTop(toScrollTop(top, huge), huge)).toBeCloseTo(top, 3);
    }
  });

  it('keeps a position within what there is', () => {
    expect(clampTop(-1e9, some)).toBe(minTop(some));
    expect(clampTop(1e9, some)).toBe(maxTop(some));
    expect(distanceToEnd(maxTop(some) - 10, some)).toBe(10);
    expect(distanceToEnd(maxTop(some) + 10, some)).toBe(0);
  });

  it('shows a row with the least movement', () => {
    const top = 100 * ROW;
    expect(topShowing(100, top, some)).toBe(top);
    expect(topShowing(99, top, some)).toBe(99 * ROW);
    expect(topShowing(200, top, some)).toBe(201 * ROW - some.view);
  });
});
