import { useText } from '../i18n';
import { session } from '../state/page';
import { useSession } from '../state/store';

export function NoMatch() {
  const text = useText();
  const filter = useSession((state) => state.filter);
  const words = [filter.q, ...filter.levels, ...filter.sources].filter((word) => word !== '').join('  ');
  return (
    <div className="absolute inset-x-0 top-[26px] bottom-0 flex flex-col items-center justify-center gap-2 bg-bg p-6 text-center" data-testid="no-match">
      <h2 className="text-[15px] font-semibold">{text.noMatch.title}</h2>
      {words !== '' && <p className="max-w-[60ch] font-mono text-[12px] break-words text-dim">{words}</p>}
      <p className="text-dim">{filter.live ? text.noMatch.live : text.noMatch.past}</p>
      {words !== '' && (
        <button type="button" className="button" onClick={() => session.setFilter({ q: '', levels: [], sources: [] })} data-testid="clear-filters">
          {text.noMatch.clear}
        </button>
      )}
    </div>
  );
}
