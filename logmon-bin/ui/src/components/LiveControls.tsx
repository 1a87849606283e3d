import { PauseIcon, PlayIcon } from '@heroicons/react/16/solid';
import { useText } from '../i18n';
import { session } from '../state/page';
import { useSession } from '../state/store';
import { RangePicker } from './RangePicker';

/** The Live switch is the most visible control: it decides what the rest of the page means. */
export function LiveControls() {
  const text = useText();
  const on = useSession((state) => state.filter.live);
  const phase = useSession((state) => state.live.phase);
  const paused = phase === 'paused';
  const streaming = phase === 'live' || phase === 'catching_up';
  const label = paused ? text.live.resume : text.live.pause;
  return (
    <div className="flex items-center gap-2">
      {!on && <RangePicker />}
      <button
        type="button"
        role="switch"
        aria-checked={on}
        onClick={() => session.setFilter({ live: !on })}
        title={on ? text.live.switchOff : text.live.switchOn}
        data-testid="live-switch"
        className={`button h-8 font-semibold ${on ? 'border-transparent bg-accent-soft text-accent' : 'text-dim'}`}
      >
        <span className={`h-2 w-2 rounded-full ${on && streaming ? 'bg-live' : 'border-[1.5px] border-current'}`} />
        {text.live.on}
      </button>
      {on && (
        <button type="button" className="button h-8 w-8 px-0" onClick={() => session.togglePause()} disabled={!paused && !streaming} title={label} aria-label={label} data-testid="pause">
          {paused ? <PlayIcon className="icon" /> : <PauseIcon className="icon" />}
        </button>
      )}
    </div>
  );
}
