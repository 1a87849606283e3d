import { create } from 'zustand';
import type { LogEvent, Problem } from '../api/types';
import { NO_FILTER, type Filter } from '../filter/filter';
import { FOLLOWING, type Follow } from '../list/follow';
import { LIVE_OFF, type LiveState } from '../live/client';
import type { Language } from '../i18n';
import type { Theme } from './preferences';

/** What the reader is told when a request failed for another reason than the query text. */
export type Failure = { readonly kind: 'network' } | { readonly kind: 'problem'; readonly problem: Problem };

export interface Figures {
  readonly rate: number;
  readonly delay: number | null;
  readonly shown: number;
  readonly notShown: number;
  /** False once something was skipped whose number the server does not know. */
  readonly notShownExact: boolean;
}

export const NO_FIGURES: Figures = { rate: 0, delay: null, shown: 0, notShown: 0, notShownExact: true };

export interface SessionState {
  readonly filter: Filter;
  readonly language: Language;
  readonly theme: Theme;
  readonly searching: boolean;
  /** At least one search of this page was answered. */
  readonly answered: boolean;
  readonly empty: boolean;
  readonly matched: { readonly count: number; readonly exact: boolean } | null;
  readonly partial: boolean;
  readonly violated: boolean;
  /** The server cannot read the query; what is on screen belongs to the query before. */
  readonly queryProblem: Problem | null;
  readonly failure: Failure | null;
  readonly live: LiveState;
  /** Lines that came after a lost connection was back; shown for a moment. */
  readonly caughtUp: number | null;
  readonly follow: Follow;
  readonly figures: Figures;
  /** Sources seen so far, with the number of rows of each since the last search began. */
  readonly sources: ReadonlyMap<string, number>;
  /** The event in the drawer, while that is open. */
  readonly opened: LogEvent | null;
  readonly announcement: string;
  readonly keysShown: boolean;
}

export const useSession = create<SessionState>()(() => ({
  filter: NO_FILTER,
  language: 'en',
  theme: 'system',
  searching: false,
  answered: false,
  empty: true,
  matched: null,
  partial: false,
  violated: false,
  queryProblem: null,
  failure: null,
  live: LIVE_OFF,
  caughtUp: null,
  follow: FOLLOWING,
  figures: NO_FIGURES,
  sources: new Map(),
  opened: null,
  announcement: '',
  keysShown: false,
}));
