import type { ProblemPosition } from '../api/types';

/** The query text in three parts, the middle one being what the server complains about. */
export interface Marked {
  readonly before: string;
  readonly mark: string;
  readonly after: string;
  readonly offset: number;
}

/** An error at the very end has nothing to underline, so a blank stands in for what is missing. */
export function markError(text: string, position: ProblemPosition): Marked {
  const offset = Math.min(Math.max(0, position.offset), text.length);
  const mark = text.slice(offset, offset + Math.max(1, position.length));
  return {
    before: text.slice(0, offset),
    mark: mark === '' || mark === '\n' ? '\u00a0' : mark,
    after: mark === '\n' ? text.slice(offset) : text.slice(offset + mark.length),
    offset,
  };
}
