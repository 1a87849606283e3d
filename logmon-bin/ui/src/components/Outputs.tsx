import { useEffect, useState } from 'react';
import { waitingOutputs, type WaitingOutput } from '../api/outputs';
import { useText } from '../i18n';

const ROW = 'flex flex-none flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-amber-soft px-3 py-[5px] text-[12px] text-amber';

/** How often the server is asked. A page that nobody looks at does not ask. */
const INTERVAL = 5_000;

/** Outputs that cannot be written to at present, and how much waits for them. */
export function Outputs() {
  const text = useText();
  const waiting = useWaitingOutputs();
  return (
    <>
      {waiting.map(({ name, lag, trouble }) => (
        <p key={name} role="status" className={ROW} data-testid="output-waits">
          <span className="font-semibold">{text.outputs.waits(name, lag)}</span>
          <span className="min-w-0 break-words">{trouble}</span>
        </p>
      ))}
    </>
  );
}

function useWaitingOutputs(): readonly WaitingOutput[] {
  const [waiting, setWaiting] = useState<readonly WaitingOutput[]>([]);
  useEffect(() => {
    const abort = new AbortController();
    const ask = () => {
      if (document.hidden) return;
      // A server that does not answer is told of elsewhere.
      waitingOutputs(abort.signal).then(setWaiting, () => undefined);
    };
    ask();
    const timer = window.setInterval(ask, INTERVAL);
    document.addEventListener('visibilitychange', ask);
    return () => {
      abort.abort();
      window.clearInterval(timer);
      document.removeEventListener('visibilitychange', ask);
    };
  }, []);
  return waiting;
}
