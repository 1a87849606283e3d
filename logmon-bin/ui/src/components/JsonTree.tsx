import { ChevronRightIcon } from '@heroicons/react/16/solid';
import { useState } from 'react';
import type { Json } from '../api/types';
import { useText } from '../i18n';
import { visible, visibleBlock } from '../list/visible';

/** A text longer than this is shown in part until the reader asks for all of it. */
const LONG = 65_536;
const OPEN_DEPTH = 3;

export function LongText({ text }: { readonly text: string }) {
  const words = useText();
  const [all, setAll] = useState(false);
  if (all || text.length <= LONG) return <>{visibleBlock(text)}</>;
  return (
    <>
      {visibleBlock(text.slice(0, LONG))}…{' '}
      <button type="button" className="font-sans font-semibold text-accent hover:underline" onClick={() => setAll(true)}>
        {words.drawer.more(Math.ceil(text.length / 1024))}
      </button>
    </>
  );
}

export function JsonTree({ value, depth = 0 }: { readonly value: { readonly [key: string]: Json } | readonly Json[]; readonly depth?: number }) {
  const entries: [string, Json][] = Array.isArray(value) ? value.map((one: Json, at) => [String(at), one]) : Object.entries(value);
  return (
    <ul className={depth > 0 ? 'ml-[7px] border-l border-line pl-3' : ''}>
      {entries.map(([name, one]) => (
        <Entry key={name} name={name} value={one} depth={depth} />
      ))}
    </ul>
  );
}

function Entry({ name, value, depth }: { readonly name: string; readonly value: Json; readonly depth: number }) {
  const [open, setOpen] = useState(depth < OPEN_DEPTH);
  if (typeof value !== 'object' || value === null) {
    return (
      <li className="pl-4 break-words whitespace-pre-wrap">
        <span className="text-dim">{visible(name)}: </span>
        <Leaf value={value} />
      </li>
    );
  }
  const size = Array.isArray(value) ? value.length : Object.keys(value).length;
  return (
    <li>
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} className="flex items-center rounded text-left hover:bg-hover">
        <ChevronRightIcon className={`icon text-dim ${open ? 'rotate-90' : ''}`} />
        <span className="text-dim">{visible(name)}</span>
        <span className="ml-2 text-dim">{Array.isArray(value) ? `[${size}]` : `{${size}}`}</span>
      </button>
      {open && size > 0 && <JsonTree value={value as { readonly [key: string]: Json }} depth={depth + 1} />}
    </li>
  );
}

function Leaf({ value }: { readonly value: string | number | bigint | boolean | null }) {
  if (typeof value === 'string') return <LongText text={value} />;
  return <span className="text-accent">{String(value)}</span>;
}
