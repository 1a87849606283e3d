import { ClipboardDocumentIcon, XMarkIcon } from '@heroicons/react/16/solid';
import { printJson } from '../api/json';
import type { LogEvent } from '../api/types';
import { useText } from '../i18n';
import { copyText } from '../state/clipboard';
import { session } from '../state/page';
import { useSession } from '../state/store';
import { JsonTree, LongText } from './JsonTree';

export function Drawer() {
  const event = useSession((state) => state.opened);
  return event ? <Opened event={event} /> : null;
}

function Opened({ event }: { readonly event: LogEvent }) {
  const text = useText();
  const { message, metadata, ...head } = event;
  return (
    <aside
      aria-label={text.drawer.title}
      data-testid="drawer"
      className="flex h-[46%] w-full flex-none flex-col border-t border-line bg-panel min-[1100px]:h-auto min-[1100px]:w-[420px] min-[1100px]:border-t-0 min-[1100px]:border-l"
    >
      <header className="flex h-[34px] flex-none items-center gap-1 border-b border-line pr-1 pl-3">
        <span className={`lv-${event.level ?? 'NONE'} font-mono text-[12px] font-bold text-(--c)`}>{event.level ?? text.table.noLevel}</span>
        <span className="truncate font-mono text-[12px] text-dim">{event.id}</span>
        <button type="button" className="icon-button ml-auto" title={text.drawer.copyJson} aria-label={text.drawer.copyJson} onClick={() => void copyText(printJson(event))} data-testid="copy-json">
          <ClipboardDocumentIcon className="icon" />
        </button>
        <button type="button" className="icon-button" title={text.drawer.close} aria-label={text.drawer.close} onClick={() => session.open(null)} data-testid="drawer-close">
          <XMarkIcon className="icon" />
        </button>
      </header>
      <div className="min-h-0 flex-1 overflow-y-auto p-3">
        <div className="mb-1 flex h-6 items-center">
          <h2 className="text-[11px] font-semibold text-dim">{text.drawer.message}</h2>
          <button type="button" className="icon-button ml-auto h-6" title={text.drawer.copyMessage} aria-label={text.drawer.copyMessage} onClick={() => void copyText(message)} data-testid="copy-message">
            <ClipboardDocumentIcon className="icon" />
          </button>
        </div>
        <div className="rounded-md border border-line bg-bg p-2 font-mono text-[12px] break-words whitespace-pre-wrap" data-testid="drawer-message">
          <LongText key={event.id} text={message} />
        </div>
        <h2 className="mt-4 mb-1 text-[11px] font-semibold text-dim">{text.drawer.fields}</h2>
        <div className="font-mono text-[12px] leading-[20px]" data-testid="drawer-tree">
          <JsonTree key={event.id} value={{ ...head, metadata }} />
        </div>
      </div>
    </aside>
  );
}
