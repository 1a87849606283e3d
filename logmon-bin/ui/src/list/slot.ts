import { LEVELS } from '../api/types';
import type { Catalogue } from '../i18n';
import type { Gap, Row } from '../buffer/rows';
import { plainLine } from './line';
import { rowTime } from './time';
import { rowText, visible } from './visible';

/** How many colours tell sources apart. */
const SOURCE_COLOURS = 8;

function sourceColour(source: string): number {
  let hash = 0;
  for (let at = 0; at < source.length; at += 1) hash = (hash * 31 + source.charCodeAt(at)) | 0;
  return Math.abs(hash) % SOURCE_COLOURS;
}

export function gapText(gap: Gap, text: Catalogue): string {
  const counts = [...LEVELS, 'NONE'].flatMap((level): [string, number][] => {
    const count = gap.byLevel[level] ?? 0;
    return count > 0 ? [[level, count]] : [];
  });
  const head = gap.count === null ? text.gap.unknown : text.gap.lines(gap.count);
  const detail = counts.length > 0 ? ` (${text.gap.levels(counts)})` : '';
  return `${head}${detail}: ${text.gap.reason(gap.reason)}`;
}

function cell(name: string): { element: HTMLElement; text: Text } {
  const element = document.createElement('span');
  element.setAttribute('role', 'gridcell');
  element.className = `ll-${name}`;
  element.dataset.testid = `cell-${name}`;
  const text = document.createTextNode('');
  element.append(text);
  return { element, text };
}

/** One row element of the pool. It is written only when the row it shows changes. */
export class Slot {
  readonly element: HTMLElement;
  index = 0;
  row: Row | null = null;
  private readonly time = cell('time');
  private readonly level = cell('level');
  private readonly message = cell('message');
  private readonly source = cell('source');
  private classes = '';
  private active = false;

  constructor(id: string) {
    this.element = document.createElement('div');
    this.element.id = id;
    this.element.setAttribute('role', 'row');
    this.element.append(this.time.element, this.level.element, this.message.element, this.source.element);
    this.hide();
  }

  show(index: number, row: Row, text: Catalogue): void {
    if (this.row === null) this.element.hidden = false;
    this.index = index;
    this.row = row;
    if (row.kind === 'event') {
      const { event } = row;
      this.time.text.data = rowTime(event.timestamp);
      this.level.text.data = event.level ?? '\u2013';
      this.message.text.data = rowText(event.message);
      this.source.text.data = event.source === null ? '' : visible(event.source);
      const colour = event.source === null ? '' : ` src-${sourceColour(event.source)}`;
      this.classes = `ll-row lv-${event.level ?? 'NONE'}${colour}`;
      this.element.dataset.testid = 'log-row';
      this.element.dataset.id = event.id;
    } else {
      this.time.text.data = '';
      this.level.text.data = '\u26a0';
      this.message.text.data = gapText(row.gap, text);
      this.source.text.data = '';
      this.classes = 'll-row ll-gap';
      this.element.dataset.testid = 'gap-row';
      this.element.dataset.id = '';
    }
    this.active = false;
    this.element.className = this.classes;
  }

  hide(): void {
    if (this.row === null && this.element.hidden) return;
    this.row = null;
    this.element.hidden = true;
  }

  place(y: number): void {
    this.element.style.transform = `translateY(${y}px)`;
  }

  setActive(active: boolean): void {
    if (active === this.active) return;
    this.active = active;
    this.element.className = active ? `${this.classes} is-active` : this.classes;
    if (active) this.element.setAttribute('aria-selected', 'true');
    else this.element.removeAttribute('aria-selected');
  }

  number(rowIndex: number): void {
    this.element.setAttribute('aria-rowindex', String(rowIndex));
  }
}

/** One event per line for a selection over several rows; the browser would put every cell on a line of its own. */
export function selectedLines(slots: readonly Slot[], selection: Selection | null): string | null {
  if (!selection) return null;
  const lines = slots
    .filter((slot) => slot.row !== null && selection.containsNode(slot.element, true))
    .sort((a, b) => a.index - b.index)
    .flatMap(({ row }) => (row?.kind === 'event' ? [plainLine(row.event)] : []));
  return lines.length > 1 ? lines.join('\n') : null;
}
