import type { Catalogue } from '../i18n';

/** The fixed elements around the rows; rows themselves are made by the list. */
export interface Frame {
  readonly grid: HTMLElement;
  readonly head: HTMLElement;
  readonly sheet: HTMLElement;
  readonly stick: HTMLElement;
  readonly layer: HTMLElement;
  readonly older: HTMLElement;
  readonly olderButton: HTMLButtonElement;
  readonly heads: readonly HTMLElement[];
}

function div(className: string, role?: string): HTMLElement {
  const element = document.createElement('div');
  element.className = className;
  if (role !== undefined) element.setAttribute('role', role);
  return element;
}

/**
 * The grid is the scroller: header group (which stays at the top), then sheet > stick > layer > rows. The sheet
 * gives the scrollbar its length; the stick stays where it is while the browser scrolls, so rows move only when
 * the list moves them. A row therefore never shows at a place that the list did not choose.
 */
export function buildFrame(): Frame {
  const grid = div('ll', 'grid');
  // The only tab stop of the list; the chosen row is told by aria-activedescendant.
  grid.tabIndex = 0;
  grid.dataset.testid = 'log-list';
  const head = div('ll-headgroup', 'rowgroup');
  const headRow = div('ll-row ll-head', 'row');
  headRow.setAttribute('aria-rowindex', '1');
  const heads = ['time', 'level', 'message', 'source'].map((name) => {
    const cell = div(`ll-${name}`, 'columnheader');
    headRow.append(cell);
    return cell;
  });
  head.append(headRow);

  const sheet = div('ll-sheet', 'presentation');
  const stick = div('ll-stick', 'presentation');
  stick.dataset.testid = 'log-viewport';
  const layer = div('ll-layer', 'rowgroup');
  const older = div('ll-older', 'row');
  const olderCell = div('ll-oldercell', 'gridcell');
  const olderButton = document.createElement('button');
  olderButton.type = 'button';
  olderButton.tabIndex = -1;
  olderButton.dataset.testid = 'load-older';
  olderCell.append(olderButton);
  older.append(olderCell);
  layer.append(older);
  stick.append(layer);
  sheet.append(stick);
  grid.append(head, sheet);
  return { grid, head, sheet, stick, layer, older, olderButton, heads };
}

export function nameFrame(frame: Frame, text: Catalogue): void {
  frame.grid.setAttribute('aria-label', text.table.label);
  const names = [text.table.timestamp, text.table.level, text.table.message, text.table.source];
  frame.heads.forEach((head, at) => {
    head.textContent = names[at] ?? '';
  });
}
