import { MagnifyingGlassIcon, XMarkIcon } from '@heroicons/react/16/solid';
import { useEffect, useState, type KeyboardEvent } from 'react';
import { markError } from '../filter/mark';
import { useText } from '../i18n';
import { session } from '../state/page';
import { useSession } from '../state/store';
import { LiveControls } from './LiveControls';
import { QueryProblem } from './QueryProblem';

const LAYER = 'col-start-1 row-start-1 whitespace-pre-wrap break-words px-2 py-[5px] font-mono text-[13px] leading-[20px]';

/**
 * A native text field, so that input methods, undo and screen readers work as everywhere. Behind it lies
 * the same text without ink, which gives the field its height and carries the underline of an error.
 */
export function QueryBar() {
  const text = useText();
  const query = useSession((state) => state.filter.q);
  const problem = useSession((state) => state.queryProblem);
  const [draft, setDraft] = useState(query);
  // The text the server complained about; the mark goes as soon as it is changed.
  const failed = problem && draft === query ? problem : null;
  useEffect(() => setDraft(query), [query]);

  const run = (): void => session.setFilter({ q: draft });
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    // Enter also confirms what an input method offers; keyCode 229 is how some browsers say so.
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    run();
  };
  const clear = (): void => {
    setDraft('');
    if (query !== '') session.setFilter({ q: '' });
    document.getElementById('query')?.focus();
  };
  const mark = failed?.position ? markError(draft, failed.position) : null;

  return (
    <div>
      <div className="flex flex-wrap items-start gap-2">
        <div className={`flex min-w-[220px] flex-1 items-start rounded-md border bg-raised focus-within:outline-2 focus-within:outline-accent ${failed ? 'border-red' : 'border-line'}`}>
          <MagnifyingGlassIcon className="icon ml-2 mt-[7px] text-dim" />
          <div className="grid max-h-[110px] min-w-0 flex-1 overflow-y-auto">
            <div aria-hidden="true" className={`${LAYER} min-h-[30px] text-transparent`}>
              {mark ? (
                <>
                  {mark.before}
                  <span className="query-mark" data-testid="query-mark" data-offset={mark.offset}>{mark.mark}</span>
                  {mark.after}
                </>
              ) : (
                draft
              )}
              {'\u200b'}
            </div>
            <textarea
              id="query"
              rows={1}
              value={draft}
              onChange={(event) => setDraft(event.target.value)}
              onKeyDown={onKeyDown}
              placeholder={text.query.placeholder}
              aria-label={text.query.label}
              aria-invalid={failed !== null}
              aria-describedby={failed ? 'query-problem' : undefined}
              autoCapitalize="off"
              autoComplete="off"
              autoCorrect="off"
              spellCheck={false}
              data-testid="query"
              className={`${LAYER} resize-none overflow-hidden outline-none placeholder:overflow-hidden placeholder:text-ellipsis placeholder:whitespace-nowrap placeholder:text-dim`}
            />
          </div>
          {draft !== '' && (
            <button type="button" className="icon-button mt-px" onClick={clear} title={text.query.clear} aria-label={text.query.clear} data-testid="query-clear">
              <XMarkIcon className="icon" />
            </button>
          )}
          <button type="button" className="icon-button mt-px" onClick={run} title={text.query.run} aria-label={text.query.run} data-testid="query-run">
            <kbd className="text-[13px] leading-none">⏎</kbd>
          </button>
        </div>
        <LiveControls />
      </div>
      {failed && <QueryProblem problem={failed} />}
    </div>
  );
}
