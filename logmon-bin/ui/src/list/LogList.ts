import type { LogEvent } from '../api/types';
import type { Ring } from '../buffer/ring';
import type { Row } from '../buffer/rows';
import type { Catalogue } from '../i18n';
import { FOLLOWING, arrived, moved, stop, type Follow } from './follow';
import { buildFrame, nameFrame, type Frame } from './frame';
import { listenToInput } from './input';
import { CARD, ROW, clampTop, distanceToEnd, fromScrollTop, maxTop, minTop, sheetHeight, toScrollTop, topShowing, type Extent } from './scroll';
import { Slot, selectedLines } from './slot';

export type Older = 'more' | 'loading' | 'end' | 'gone';

export interface ListHooks {
  follow(state: Follow): void;
  /** The reader came near the oldest row. */
  older(): void;
  open(event: LogEvent): void;
}

/** Rows drawn beyond the screen, half above and half below. */
const EXTRA = 16;
/** Offsets inside the layer start again before they leave the range in which pixels are exact. */
const REBASE = 500_000;
const NARROW = '(max-width: 767px)';

/**
 * The log table. It draws from the ring into a fixed pool of rows and keeps the reader's position as a
 * place on an endless sheet (see `scroll.ts`), so new rows, and old rows going, change nothing on screen
 * unless the reader follows the end.
 */
export class LogList {
  private readonly frame: Frame = buildFrame();
  private readonly ring: Ring<Row>;
  private readonly hooks: ListHooks;
  private text: Catalogue;
  private pool: Slot[] = [];
  private top = 0;
  private base = 0;
  private view = 0;
  private row = ROW;
  private lastScrollTop = 0;
  private lastHeight = -1;
  private follow: Follow = FOLLOWING;
  private active: number | null = null;
  private olderState: Older = 'end';
  private settleTimer = 0;
  private readonly stopInput: () => void;

  constructor(host: HTMLElement, ring: Ring<Row>, text: Catalogue, hooks: ListHooks) {
    this.ring = ring;
    this.hooks = hooks;
    this.text = text;
    nameFrame(this.frame, text);
    host.append(this.frame.grid);
    this.stopInput = listenToInput(this.frame, {
      hold: () => this.setFollow(stop(this.follow)),
      moveBy: (pixels) => this.moveBy(pixels),
      scrolled: (scrollTop) => this.scrolled(scrollTop),
      clicked: (row) => this.clicked(row),
      loadOlder: () => this.hooks.older(),
      copied: (selection) => selectedLines(this.pool, selection),
      resized: () => this.resize(),
      lineHeight: () => this.row,
      pageHeight: () => this.view,
    });
    this.setOlder('end');
  }

  destroy(): void {
    this.stopInput();
    window.clearTimeout(this.settleTimer);
    this.frame.grid.remove();
  }

  /** `count` events were added at the newest end. */
  added(count: number, highest: number): void {
    this.setFollow(arrived(this.follow, count, highest));
    this.render();
  }

  /** Another search fills the ring: start at its end. */
  reset(): void {
    for (const slot of this.pool) slot.hide();
    this.active = null;
    this.setFollow(FOLLOWING);
    this.render();
  }

  setOlder(state: Older): void {
    this.olderState = state;
    const { table } = this.text;
    this.frame.olderButton.textContent = { more: table.older, loading: table.olderLoading, end: table.olderEnd, gone: table.olderGone }[state];
    this.frame.olderButton.disabled = state !== 'more';
    this.render();
  }

  setText(text: Catalogue): void {
    this.text = text;
    nameFrame(this.frame, text);
    for (const slot of this.pool) if (slot.row) slot.show(slot.index, slot.row, text);
    this.setOlder(this.olderState);
  }

  /** Gives the list the keys back. That is not the reader taking hold of it, so it goes on following. */
  focus(): void {
    const { follow } = this;
    this.frame.grid.focus({ preventScroll: true });
    this.setFollow(follow);
  }

  toEnd(): void {
    this.setActive(null);
    this.setFollow(FOLLOWING);
    this.render();
  }

  toOldest(): void {
    this.moveBy(minTop(this.extent()) - this.top);
  }

  page(direction: 1 | -1): void {
    this.moveBy(direction * Math.max(this.row, this.view - this.row));
  }

  /** Chooses the next or previous row; without a chosen one it begins with the newest on screen. */
  step(direction: 1 | -1): void {
    this.setFollow(stop(this.follow));
    const last = Math.min(this.ring.end - 1, Math.floor((this.top + this.view) / this.row) - 1);
    const from = this.active ?? (direction < 0 ? last + 1 : last);
    const next = Math.min(Math.max(from + direction, this.ring.first), this.ring.end - 1);
    if (this.ring.size === 0) return;
    this.setActive(next);
    this.top = topShowing(next, this.top, this.extent());
    this.render();
    this.nearOldest();
  }

  activeRow(): Row | null {
    return this.active === null ? null : (this.ring.get(this.active) ?? null);
  }

  openActive(): void {
    const row = this.activeRow();
    if (row?.kind !== 'event') return;
    this.setFollow(stop(this.follow));
    this.hooks.open(row.event);
  }

  private extent(): Extent {
    // One row more than the ring has: the "load older" row is the first.
    return { first: this.ring.first - 1, end: this.ring.end, row: this.row, view: this.view };
  }

  private setFollow(next: Follow): void {
    if (next === this.follow) return;
    const settled = this.follow.following && !next.following;
    this.follow = next;
    this.hooks.follow(next);
    if (settled) this.settleSoon();
  }

  private setActive(index: number | null): void {
    this.active = index;
    for (const slot of this.pool) this.markActive(slot);
    if (index === null) this.frame.grid.removeAttribute('aria-activedescendant');
  }

  private markActive(slot: Slot): void {
    const active = slot.row !== null && slot.index === this.active;
    slot.setActive(active);
    if (active) this.frame.grid.setAttribute('aria-activedescendant', slot.element.id);
  }

  /** A movement that the reader asked for. */
  private moveBy(delta: number): void {
    const extent = this.extent();
    this.top = clampTop(this.top + delta, extent);
    this.setFollow(moved(this.follow, delta, distanceToEnd(this.top, extent)));
    this.render();
    if (delta < 0) this.nearOldest();
    this.settleSoon();
  }

  private nearOldest(): void {
    if (this.olderState === 'more' && this.top - minTop(this.extent()) < 8 * this.row) this.hooks.older();
  }

  private render(): void {
    if (this.view === 0) return;
    const extent = this.extent();
    if (this.follow.following) this.top = maxTop(extent);
    this.setScrollbar(extent);
    if (Math.abs(this.top - this.base) > REBASE) {
      this.base = Math.floor(this.top / this.row) * this.row;
      for (const slot of this.pool) slot.place(slot.index * this.row - this.base);
    }
    this.frame.layer.style.transform = `translateY(${this.base - this.top}px)`;
    this.frame.older.style.transform = `translateY(${(this.ring.first - 1) * this.row - this.base}px)`;
    const start = Math.floor(this.top / this.row) - EXTRA / 2;
    for (let at = 0; at < this.pool.length; at += 1) this.draw(start + at);
  }

  private draw(index: number): void {
    const count = this.pool.length;
    const rest = index % count;
    const slot = this.pool[rest < 0 ? rest + count : rest];
    if (!slot) return;
    const row = this.ring.get(index);
    if (!row) {
      // A row that left the buffer while someone reads it stays on screen until the reader moves on.
      const read = slot.index === index && slot.row !== null && index < this.ring.first && !this.follow.following;
      if (!read) slot.hide();
      return;
    }
    if (slot.row === row && slot.index === index) return;
    slot.show(index, row, this.text);
    slot.number(index - this.ring.first + 2);
    slot.place(index * this.row - this.base);
    this.markActive(slot);
  }

  private setScrollbar(extent: Extent): void {
    const height = sheetHeight(extent);
    if (height !== this.lastHeight) {
      this.lastHeight = height;
      this.frame.sheet.style.height = `${height}px`;
      this.settleSoon();
    }
    const scrollTop = toScrollTop(this.top, extent);
    if (Math.abs(scrollTop - this.lastScrollTop) < 0.5) return;
    this.lastScrollTop = scrollTop;
    this.frame.grid.scrollTop = scrollTop;
  }

  /**
   * What need not happen in every frame. Row elements are recycled out of order; while someone reads,
   * they are put into the order of the screen, which a selection over several rows and a screen reader go by.
   */
  private settleSoon(): void {
    if (this.settleTimer !== 0) return;
    this.settleTimer = window.setTimeout(() => {
      this.settleTimer = 0;
      this.frame.grid.setAttribute('aria-rowcount', String(this.ring.size + 1));
      for (const slot of this.pool) if (slot.row) slot.number(slot.index - this.ring.first + 2);
      if (!this.follow.following && document.getSelection()?.isCollapsed !== false) this.order();
    }, 250);
  }

  private order(): void {
    const ordered = [...this.pool].sort((a, b) => a.index - b.index);
    let before: Element = this.frame.older;
    for (const slot of ordered) {
      if (before.nextElementSibling !== slot.element) before.after(slot.element);
      before = slot.element;
    }
  }

  private resize(): void {
    const row = window.matchMedia(NARROW).matches ? CARD : ROW;
    if (row !== this.row) {
      this.top = (this.top / this.row) * row;
      this.row = row;
      this.base = Math.floor(this.top / row) * row;
    }
    const shown = this.active !== null && this.active * row >= this.top && (this.active + 1) * row <= this.top + this.view;
    this.view = Math.max(0, this.frame.grid.clientHeight - this.frame.head.offsetHeight);
    this.frame.stick.style.height = `${this.view}px`;
    const wanted = Math.ceil(this.view / row) + 1 + EXTRA;
    if (wanted !== this.pool.length) {
      for (const slot of this.pool) slot.element.remove();
      this.pool = Array.from({ length: wanted }, (_, at) => new Slot(`log-row-${at}`));
      this.frame.layer.append(...this.pool.map((slot) => slot.element));
    } else {
      for (const slot of this.pool) slot.place(slot.index * row - this.base);
    }
    // A drawer that takes room from below must not cover the row it was opened for.
    if (shown && this.active !== null) this.top = topShowing(this.active, this.top, this.extent());
    if (!this.follow.following) this.top = clampTop(this.top, this.extent());
    this.render();
  }

  /** The scrollbar or a finger moved it, or this list itself did, which is no news. */
  private scrolled(scrollTop: number): void {
    if (Math.abs(scrollTop - this.lastScrollTop) < 1.5) return;
    this.lastScrollTop = scrollTop;
    this.moveBy(fromScrollTop(scrollTop, this.extent()) - this.top);
  }

  private clicked(element: Element): void {
    const slot = this.pool.find((candidate) => candidate.element === element);
    if (!slot?.row) return;
    this.setActive(slot.index);
    if (slot.row.kind === 'event') this.hooks.open(slot.row.event);
  }
}
