import { ArrowDownIcon } from '@heroicons/react/16/solid';
import { useEffect, useRef } from 'react';
import { levelOf } from '../buffer/rows';
import { isFiltered } from '../filter/filter';
import { catalogue, useText } from '../i18n';
import { LogList } from '../list/LogList';
import { listenToKeys } from '../state/keyboard';
import { session } from '../state/page';
import { useSession } from '../state/store';
import { FirstRun } from './FirstRun';
import { NoMatch } from './NoMatch';

/** Gives the list its place on the page. React never touches a row. */
export function LogPane() {
  const host = useRef<HTMLDivElement>(null);
  const list = useRef<LogList | null>(null);
  const language = useSession((state) => state.language);

  useEffect(() => {
    if (!host.current) return;
    const made = new LogList(host.current, session.ring, catalogue(useSession.getState().language), {
      follow: (follow) => useSession.setState({ follow }),
      older: () => void session.older(),
      open: (event) => session.open(event),
    });
    list.current = made;
    session.attach(made);
    const stopKeys = listenToKeys(made);
    return () => {
      stopKeys();
      session.attach(null);
      made.destroy();
    };
  }, []);

  useEffect(() => list.current?.setText(catalogue(language)), [language]);

  return (
    <section className="relative flex min-h-0 min-w-0 flex-1 flex-col">
      <div ref={host} className="flex min-h-0 flex-1 flex-col" />
      <Placeholder />
      <NewLines onJump={() => list.current?.toEnd()} />
    </section>
  );
}

/** What stands in the place of rows when there are none. */
function Placeholder() {
  const shown = useSession((state) => state.answered && state.empty);
  const filter = useSession((state) => state.filter);
  if (!shown) return null;
  const everything = !isFiltered(filter) && (filter.live || filter.range === 'all');
  return everything ? <FirstRun /> : <NoMatch />;
}

function NewLines({ onJump }: { readonly onJump: () => void }) {
  const text = useText();
  const follow = useSession((state) => state.follow);
  if (follow.following || follow.unseen === 0) return null;
  const level = levelOf(follow.highest);
  return (
    <button
      type="button"
      onClick={onJump}
      title={text.live.toNewest}
      data-testid="new-lines"
      data-count={follow.unseen}
      className={`lv-${level ?? 'NONE'} absolute bottom-3 left-1/2 z-10 flex h-8 -translate-x-1/2 items-center gap-2 rounded-full border border-(--c) bg-raised px-4 text-[12px] font-semibold text-(--c) shadow-lg hover:bg-hover`}
    >
      {level !== null && follow.highest >= 3 && <span className="font-mono text-[11px]">{level}</span>}
      <span className="tabular-nums">{text.live.newLines(follow.unseen)}</span>
      <ArrowDownIcon className="icon" />
    </button>
  );
}
