/**
 * Where the reader is, apart from the DOM. A position is measured in pixels of an endless sheet on
 * which row i covers [i * row, (i + 1) * row); only the scrollbar knows how long the buffer is.
 * The scrollbar's own height is limited, because browsers clip elements beyond some millions of pixels.
 */

/** Height of a row, and of a two-line card on small screens. */
export const ROW = 22;
export const CARD = 46;
export const MAX_SHEET = 8_000_000;

export interface Extent {
  /** Index of the oldest row, and one past the newest. */
  readonly first: number;
  readonly end: number;
  /** Height of every row. */
  readonly row: number;
  /** Height of the part that is on screen. */
  readonly view: number;
}

export function minTop(extent: Extent): number {
  return extent.first * extent.row;
}

export function maxTop(extent: Extent): number {
  return Math.max(minTop(extent), extent.end * extent.row - extent.view);
}

export function clampTop(top: number, extent: Extent): number {
  return Math.min(Math.max(top, minTop(extent)), maxTop(extent));
}

/** Pixels from the lower edge of the screen to the end of the newest row. */
export function distanceToEnd(top: number, extent: Extent): number {
  return Math.max(0, maxTop(extent) - top);
}

/** Height of the element that gives the scrollbar its length. */
export function sheetHeight(extent: Extent): number {
  const height = (extent.end - extent.first) * extent.row;
  return Math.max(extent.view, Math.min(height, MAX_SHEET));
}

function scrollRange(extent: Extent): number {
  return sheetHeight(extent) - extent.view;
}

/** What `scrollTop` shows a logical position. */
export function toScrollTop(top: number, extent: Extent): number {
  const logical = maxTop(extent) - minTop(extent);
  if (logical <= 0) return 0;
  const into = clampTop(top, extent) - minTop(extent);
  const real = scrollRange(extent);
  return real === logical ? into : (into / logical) * real;
}

/** The logical position that a `scrollTop` stands for. */
export function fromScrollTop(scrollTop: number, extent: Extent): number {
  const logical = maxTop(extent) - minTop(extent);
  const real = scrollRange(extent);
  if (real <= 0) return minTop(extent);
  const into = real === logical ? scrollTop : (scrollTop / real) * logical;
  return clampTop(minTop(extent) + into, extent);
}

/** The smallest movement that brings a row wholly on screen. */
export function topShowing(index: number, top: number, extent: Extent): number {
  const rowTop = index * extent.row;
  if (rowTop < top) return clampTop(rowTop, extent);
  if (rowTop + extent.row > top + extent.view) return clampTop(rowTop + extent.row - extent.view, extent);
  return top;
}
