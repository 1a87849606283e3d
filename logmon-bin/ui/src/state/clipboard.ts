import type { Row } from '../buffer/rows';
import { plainLine } from '../list/line';

/** False where the browser refuses, as it does on plain http away from localhost. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text: string): boolean {
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'sr-only';
  document.body.append(field);
  field.select();
  // Deprecated, and still the only way on a page that is not a secure context.
  const done = document.execCommand('copy');
  field.remove();
  return done;
}

export function copyRow(row: Row | null): void {
  if (row?.kind === 'event') void copyText(plainLine(row.event));
}
