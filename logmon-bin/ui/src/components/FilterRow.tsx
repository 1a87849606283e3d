import type { MouseEvent } from 'react';
import { LEVELS, type Level } from '../api/types';
import { pressChip } from '../filter/filter';
import { useText } from '../i18n';
import { session } from '../state/page';
import { useSession } from '../state/store';
import { SourcePicker } from './SourcePicker';

export function FilterRow() {
  return (
    <div className="mt-2 flex flex-wrap items-center gap-x-3 gap-y-2">
      <LevelChips />
      <SourcePicker />
      <Matches />
    </div>
  );
}

function LevelChips() {
  const text = useText();
  const levels = useSession((state) => state.filter.levels);
  const press = (event: MouseEvent, level: Level): void => {
    const action = event.altKey ? 'only' : event.shiftKey ? 'andAbove' : 'toggle';
    session.setFilter({ levels: pressChip(levels, level, action) });
  };
  return (
    <div role="group" aria-label={text.levels.label} className="flex gap-1 overflow-x-auto py-px" data-testid="levels">
      {LEVELS.map((level) => (
        <button
          key={level}
          type="button"
          aria-pressed={levels.includes(level)}
          title={text.levels.chip(level)}
          onClick={(event) => press(event, level)}
          data-testid={`level-${level}`}
          className={`chip ${levels.length === 0 || levels.includes(level) ? `lv-${level}` : ''}`}
        >
          {level}
        </button>
      ))}
    </div>
  );
}

function Matches() {
  const text = useText();
  const matched = useSession((state) => state.matched);
  const live = useSession((state) => state.filter.live);
  if (!matched || live) return null;
  return (
    <span className="ml-auto text-[12px] text-dim" data-testid="matches">
      {text.status.matches(matched.count, matched.exact)}
    </span>
  );
}
