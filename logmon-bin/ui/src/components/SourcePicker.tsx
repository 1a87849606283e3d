import { CheckIcon, ChevronDownIcon, PlusIcon, XMarkIcon } from '@heroicons/react/16/solid';
import { useEffect, useRef, useState } from 'react';
import { toggleSource } from '../filter/filter';
import { useText } from '../i18n';
import { visible } from '../list/visible';
import { session } from '../state/page';
import { useSession } from '../state/store';

const TAGS = 3;

/** Sources come from the rows seen so far; a name that was not seen can be typed. */
export function SourcePicker() {
  const text = useText();
  const chosen = useSession((state) => state.filter.sources);
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!open) return;
    const onPointer = (event: PointerEvent): void => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', onPointer);
    return () => document.removeEventListener('pointerdown', onPointer);
  }, [open]);

  return (
    <div ref={box} className="relative flex min-w-0 flex-wrap items-center gap-1" onKeyDown={(event) => event.key === 'Escape' && setOpen(false)}>
      <button type="button" aria-haspopup="listbox" aria-expanded={open} onClick={() => setOpen(!open)} className="button h-6 text-[12px]" data-testid="source-button">
        <span className="text-dim">{text.source.label}</span>
        {chosen.length === 0 && <span className="font-semibold">{text.source.all}</span>}
        <ChevronDownIcon className="icon text-dim" />
      </button>
      {chosen.slice(0, TAGS).map((name) => (
        <span key={name} className="inline-flex h-6 max-w-[180px] items-center rounded-md bg-accent-soft pl-2 font-mono text-[12px] text-accent" data-testid="source-tag">
          <span className="truncate">{visible(name)}</span>
          <button type="button" className="flex h-6 w-6 items-center justify-center" aria-label={text.source.remove(visible(name))} onClick={() => session.setFilter({ sources: toggleSource(chosen, name) })}>
            <XMarkIcon className="h-3 w-3" />
          </button>
        </span>
      ))}
      {chosen.length > TAGS && <span className="text-[12px] text-dim">{text.source.more(chosen.length - TAGS)}</span>}
      {open && <SourceList chosen={chosen} />}
    </div>
  );
}

function SourceList({ chosen }: { readonly chosen: readonly string[] }) {
  const text = useText();
  const seen = useSession((state) => state.sources);
  const [wanted, setWanted] = useState('');
  const typed = wanted.trim();
  const names = [...new Set([...chosen, ...seen.keys()])].filter((name) => name.toLowerCase().includes(typed.toLowerCase()));
  const choose = (name: string): void => {
    session.setFilter({ sources: toggleSource(chosen, name) });
    setWanted('');
  };
  return (
    <div className="absolute top-full left-0 z-20 mt-1 w-[280px] rounded-lg border border-line bg-raised p-1 shadow-lg" data-testid="source-list">
      <input
        autoFocus
        value={wanted}
        onChange={(event) => setWanted(event.target.value)}
        onKeyDown={(event) => event.key === 'Enter' && !event.nativeEvent.isComposing && typed !== '' && choose(names.find((name) => name === typed) ?? typed)}
        placeholder={text.source.search}
        aria-label={text.source.search}
        data-testid="source-input"
        className="mb-1 h-7 w-full rounded-md border border-line bg-bg px-2 text-[12px] outline-none focus:border-accent"
      />
      <div role="listbox" aria-multiselectable="true" aria-label={text.source.label} className="max-h-[300px] overflow-y-auto">
        <Option selected={chosen.length === 0} onChoose={() => session.setFilter({ sources: [] })} testid="source-all" label={text.source.all} />
        {names.map((name) => (
          <Option key={name} selected={chosen.includes(name)} onChoose={() => choose(name)} testid={`source-${name}`} label={visible(name)} count={seen.get(name)} />
        ))}
        {names.length === 0 && typed === '' && <p className="px-2 py-1 text-[12px] text-dim">{text.source.none}</p>}
        {typed !== '' && !names.includes(typed) && (
          <button type="button" onClick={() => choose(typed)} className="flex h-7 w-full items-center gap-2 rounded-md px-2 text-[12px] hover:bg-hover" data-testid="source-add">
            <PlusIcon className="icon text-accent" />
            <span className="truncate">{text.source.add(visible(typed))}</span>
          </button>
        )}
      </div>
    </div>
  );
}

interface OptionProps {
  readonly selected: boolean;
  readonly label: string;
  readonly count?: number | undefined;
  readonly testid: string;
  readonly onChoose: () => void;
}

function Option({ selected, label, count, testid, onChoose }: OptionProps) {
  const text = useText();
  return (
    <button type="button" role="option" aria-selected={selected} onClick={onChoose} data-testid={testid} className="flex h-7 w-full items-center gap-2 rounded-md px-2 text-left text-[12px] hover:bg-hover">
      <CheckIcon className={`icon ${selected ? 'text-accent' : 'invisible'}`} />
      <span className="min-w-0 flex-1 truncate font-mono">{label}</span>
      {count !== undefined && count > 0 && <span className="text-dim tabular-nums">{text.number(count)}</span>}
    </button>
  );
}
