import type { Frame } from './frame';

/** What a reader does to the list, whatever the device. */
export interface InputHandler {
  /** Says "I am reading here" without moving. */
  hold(): void;
  moveBy(pixels: number): void;
  /** The scrollbar, a finger or the list itself moved the scroller. */
  scrolled(scrollTop: number): void;
  clicked(row: Element): void;
  loadOlder(): void;
  /** What a selection over several rows is as text; null leaves it to the browser. */
  copied(selection: Selection | null): string | null;
  resized(): void;
  /** The height of a row and of the screen, for wheels that count in those. */
  lineHeight(): number;
  pageHeight(): number;
}

/** Listens to the frame; the returned function stops it. */
export function listenToInput(frame: Frame, handler: InputHandler): () => void {
  const { grid, layer, olderButton } = frame;
  const observer = new ResizeObserver(() => handler.resized());
  observer.observe(grid);

  grid.addEventListener(
    'wheel',
    (event) => {
      if (event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
      // Taken from the browser, whose own scrolling runs beside the script and would fight over the position.
      event.preventDefault();
      handler.moveBy(event.deltaY * wheelUnit(event, handler));
    },
    { passive: false },
  );
  grid.addEventListener('scroll', () => handler.scrolled(grid.scrollTop), { passive: true });
  grid.addEventListener('focusin', () => handler.hold());
  grid.addEventListener('copy', (event) => {
    const text = handler.copied(document.getSelection());
    if (text === null || !event.clipboardData) return;
    event.clipboardData.setData('text/plain', text);
    event.preventDefault();
  });
  layer.addEventListener('pointerdown', () => handler.hold());
  layer.addEventListener('click', (event) => {
    // The end of a selection is a click too, and opens nothing.
    if (document.getSelection()?.isCollapsed === false) return;
    const row = (event.target as Element).closest('.ll-row');
    if (row) handler.clicked(row);
  });
  olderButton.addEventListener('click', () => handler.loadOlder());

  const onSelection = (): void => {
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed && layer.contains(selection.anchorNode)) handler.hold();
  };
  document.addEventListener('selectionchange', onSelection);
  return () => {
    observer.disconnect();
    document.removeEventListener('selectionchange', onSelection);
  };
}

function wheelUnit(event: WheelEvent, handler: InputHandler): number {
  if (event.deltaMode === WheelEvent.DOM_DELTA_LINE) return handler.lineHeight();
  if (event.deltaMode === WheelEvent.DOM_DELTA_PAGE) return handler.pageHeight();
  return 1;
}
