import { useSession } from '../state/store';

/** The list itself is not a live region: a screen reader would never come to an end. This is its summary. */
export function Announcer() {
  const announcement = useSession((state) => state.announcement);
  return <div role="status" aria-live="polite" className="sr-only" data-testid="announcer">{announcement}</div>;
}
