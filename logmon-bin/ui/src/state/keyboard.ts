import { LEVELS } from '../api/types';
import { pressChip } from '../filter/filter';
import type { LogList } from '../list/LogList';
import { copyRow } from './clipboard';
import { cycleTheme, session } from './page';
import { useSession } from './store';

function isField(target: EventTarget | null): target is HTMLElement {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Keys that a focused control needs for itself. */
function belongsToControl(event: KeyboardEvent): boolean {
  const { target, key } = event;
  if (!(target instanceof HTMLElement) || (key !== ' ' && key !== 'Enter')) return false;
  return target.closest('button, a, summary, dialog') !== null;
}

function escape(): void {
  const state = useSession.getState();
  if (state.keysShown) useSession.setState({ keysShown: false });
  else if (session.cancelSearch()) return;
  else if (state.opened) session.open(null);
}

function step(list: LogList, direction: 1 | -1): void {
  list.step(direction);
  // The drawer shows the chosen line, so it moves along.
  if (useSession.getState().opened) list.openActive();
}

function act(key: string, list: LogList): boolean {
  switch (key) {
    case '/':
      document.getElementById('query')?.focus();
      return true;
    case ' ':
      session.togglePause();
      return true;
    case 'j':
    case 'ArrowDown':
      step(list, 1);
      return true;
    case 'k':
    case 'ArrowUp':
      step(list, -1);
      return true;
    case 'PageDown':
      list.page(1);
      return true;
    case 'PageUp':
      list.page(-1);
      return true;
    case 'G':
    case 'End':
      list.toEnd();
      return true;
    case 'Home':
      list.toOldest();
      return true;
    case 'Enter':
      list.openActive();
      return true;
    case 'y':
      copyRow(list.activeRow());
      return true;
    case 'd':
      cycleTheme();
      return true;
    case '?':
      useSession.setState({ keysShown: true });
      return true;
    default:
      return false;
  }
}

export function listenToKeys(list: LogList): () => void {
  const onKey = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isField(event.target)) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    if (belongsToControl(event)) return;
    if (event.key === 'Escape') {
      escape();
      return;
    }
    const level = LEVELS[Number(event.key) - 1];
    if (level !== undefined) {
      session.setFilter({ levels: pressChip(useSession.getState().filter.levels, level, 'toggle') });
      event.preventDefault();
    } else if (act(event.key, list)) {
      event.preventDefault();
    }
  };
  document.addEventListener('keydown', onKey);
  return () => document.removeEventListener('keydown', onKey);
}
