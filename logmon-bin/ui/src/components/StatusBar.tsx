import { useEffect, useState } from 'react';
import { useText, type Catalogue } from '../i18n';
import type { Phase } from '../live/client';
import { useSession } from '../state/store';

/** Always in view: what the reader sees, and what not. */
export function StatusBar() {
  const text = useText();
  const phase = useSession((state) => state.live.phase);
  const live = useSession((state) => state.filter.live);
  const searching = useSession((state) => state.searching);
  const caughtUp = useSession((state) => state.caughtUp);
  const figures = useSession((state) => state.figures);
  const shownPhase = useSettled(live && phase === 'off' ? 'connecting' : phase);
  const notShown = figures.notShownExact ? text.status.notShown(figures.notShown) : text.status.notShownAtLeast(figures.notShown);
  const missing = figures.notShown > 0 || !figures.notShownExact;
  return (
    <footer className="flex h-[26px] flex-none items-center gap-4 overflow-x-auto border-t border-line bg-panel px-3 text-[12px] whitespace-nowrap text-dim tabular-nums" data-testid="status">
      <span className="flex items-center gap-2 font-semibold text-text" data-testid="status-phase" data-phase={phase}>
        <span className={`h-2 w-2 rounded-full ${dot(shownPhase)}`} />
        {searching && phase === 'off' ? text.status.searching : phaseText(shownPhase, text)}
      </span>
      {live && caughtUp !== null && <span className="text-live" data-testid="status-back">{text.status.back(caughtUp)}</span>}
      {live && <span data-testid="status-rate">{text.status.rate(figures.rate)}</span>}
      {live && figures.delay !== null && <span data-testid="status-delay">{text.status.delay(figures.delay)}</span>}
      <span data-testid="status-shown" data-count={figures.shown}>{text.status.shown(figures.shown)}</span>
      <span className={missing ? 'font-semibold text-amber' : ''} data-testid="status-not-shown" data-count={figures.notShown}>{notShown}</span>
    </footer>
  );
}

/** "Connecting…" appears only when it lasts; a state that is over at once would only flicker. */
function useSettled(phase: Phase): Phase {
  const [shown, setShown] = useState<Phase>(phase);
  useEffect(() => {
    if (phase !== 'connecting') {
      setShown(phase);
      return;
    }
    const timer = window.setTimeout(() => setShown(phase), 300);
    return () => window.clearTimeout(timer);
  }, [phase]);
  return shown;
}

function dot(phase: Phase): string {
  switch (phase) {
    case 'live': return 'bg-live';
    case 'catching_up': return 'bg-amber';
    case 'paused': return 'border-2 border-amber';
    case 'waiting': return 'bg-red';
    default: return 'border-2 border-current';
  }
}

function phaseText(phase: Phase, text: Catalogue): string {
  switch (phase) {
    case 'live': return text.live.live;
    case 'catching_up': return text.live.catchingUp;
    case 'paused': return text.live.paused;
    case 'waiting': return text.live.waiting;
    case 'connecting': return text.live.connecting;
    case 'off': return text.live.off;
  }
}
