import { useEffect, useState } from 'react';
import { useText } from '../i18n';
import { clockTime, millis } from '../list/time';
import { session } from '../state/page';
import { useSession } from '../state/store';

const ROW = 'flex flex-none flex-wrap items-center gap-x-3 gap-y-1 border-b border-line px-3 py-[5px] text-[12px]';
const LINK = 'font-semibold underline decoration-dotted underline-offset-2 hover:decoration-solid';

/** Everything the reader must know about the connection, above the list. */
export function Banners() {
  const text = useText();
  const partial = useSession((state) => state.partial);
  const violated = useSession((state) => state.violated);
  return (
    <>
      <Failure />
      <Lost />
      <Paused />
      {violated && <p role="status" className={`${ROW} bg-amber-soft text-amber`}>{text.status.violation}</p>}
      {partial && <p role="status" className={`${ROW} bg-amber-soft text-amber`} data-testid="partial">{text.status.partial}</p>}
    </>
  );
}

function useNow(active: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!active) return;
    setNow(Date.now());
    const timer = window.setInterval(() => setNow(Date.now()), 250);
    return () => window.clearInterval(timer);
  }, [active]);
  return now;
}

function Lost() {
  const text = useText();
  const { lostAt, retryAt, phase } = useSession((state) => state.live);
  const now = useNow(lostAt !== null);
  if (lostAt === null || phase === 'off') return null;
  const from = session.continuesFrom;
  const wait = retryAt === null ? 0 : Math.max(0, Math.ceil((retryAt - now) / 1000));
  return (
    <div role="status" className={`${ROW} bg-red-soft text-red`} data-testid="lost">
      <span>
        {text.lost.since(Math.max(0, Math.round((now - lostAt) / 1000)))} {text.lost.again(wait)}{' '}
        <button type="button" className={LINK} onClick={() => session.reconnectNow()} data-testid="reconnect-now">[{text.lost.now}]</button>
      </span>
      <span className="text-text">{from === null ? text.lost.promiseStart : text.lost.promise(clockTime(millis(from)))}</span>
    </div>
  );
}

function Paused() {
  const text = useText();
  const { phase, pausedAt } = useSession((state) => state.live);
  if (phase !== 'paused' || pausedAt === null) return null;
  return (
    <div role="status" className={`${ROW} bg-amber-soft text-amber`} data-testid="paused">
      <span className="font-semibold">{text.live.pausedAt(clockTime(pausedAt).slice(0, 8))}</span>
      <button type="button" className={LINK} onClick={() => session.togglePause()} data-testid="resume-here">{text.live.resumeHere}</button>
      <button type="button" className={LINK} onClick={() => session.resumeHead()} data-testid="resume-head">{text.live.resumeHead}</button>
    </div>
  );
}

function Failure() {
  const text = useText();
  const failure = useSession((state) => state.failure);
  if (!failure) return null;
  const problem = failure.kind === 'problem' ? failure.problem : null;
  return (
    <div role="alert" className={`${ROW} bg-red-soft text-red`} data-testid="failure">
      <span className="font-semibold">{problem ? problem.title : text.failure.network}</span>
      {problem?.detail !== undefined && <span>{problem.detail}</span>}
      {problem?.request_id !== undefined && <span className="font-mono text-dim select-all">{text.failure.request(problem.request_id)}</span>}
      <button type="button" className={LINK} onClick={() => void session.run()} data-testid="retry">{text.failure.retry}</button>
    </div>
  );
}
