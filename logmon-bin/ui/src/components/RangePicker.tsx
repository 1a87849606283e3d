import { RANGES } from '../filter/filter';
import { useText } from '../i18n';
import { session } from '../state/page';
import { useSession } from '../state/store';

export function RangePicker() {
  const text = useText();
  const range = useSession((state) => state.filter.range);
  return (
    <div role="group" aria-label={text.range.label} className="flex rounded-md border border-line bg-raised p-[2px]" data-testid="ranges">
      {RANGES.map((one) => (
        <button
          key={one}
          type="button"
          aria-pressed={one === range}
          onClick={() => session.setFilter({ range: one })}
          data-testid={`range-${one}`}
          className={`h-[26px] rounded-[4px] px-2 text-[12px] whitespace-nowrap ${one === range ? 'bg-accent-soft font-semibold text-accent' : 'text-dim hover:text-text'}`}
        >
          {text.range[one]}
        </button>
      ))}
    </div>
  );
}
