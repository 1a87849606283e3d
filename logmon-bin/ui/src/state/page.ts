import { catalogue, preferredLanguage, type Language } from '../i18n';
import { readFilter } from '../filter/url';
import { applyLanguage, applyTheme, nextTheme, storedLanguage, storedTheme } from './preferences';
import { Session } from './session';
import { useSession } from './store';

/** There is one page and so one session; components take it from here. */
export const session = new Session();

export function setLanguage(language: Language): void {
  useSession.setState({ language });
  applyLanguage(language, catalogue(language).title);
  // The server words its problems in the language of the request that met them.
  if (useSession.getState().queryProblem) void session.run();
}

export function cycleTheme(): void {
  const theme = nextTheme(useSession.getState().theme);
  useSession.setState({ theme });
  applyTheme(theme);
}

export function startPage(): void {
  const language = preferredLanguage(storedLanguage(), navigator.languages);
  const theme = storedTheme();
  useSession.setState({ language, theme, filter: readFilter(location.search) });
  applyTheme(theme);
  applyLanguage(language, catalogue(language).title);
  window.addEventListener('popstate', () => session.setFilter(readFilter(location.search), { keepUrl: true }));
  void session.run();
}

/**
 * A debugging aid, read-only: what the page holds, for the browser console and for tests that
 * compare it with what the server has. Not an interface to build on.
 */
export interface DebugView {
  ids(): string[];
  violations(): readonly unknown[];
  state(): { readonly phase: string; readonly following: boolean; readonly rows: number; readonly notShown: number };
}

declare global {
  interface Window {
    __logmon?: DebugView;
  }
}

export function exposeDebugView(): void {
  window.__logmon = {
    ids: () => [...session.ring].flatMap((row) => (row.kind === 'event' ? [row.event.id] : [])),
    violations: () => session.violations,
    state: () => {
      const { live, follow, figures } = useSession.getState();
      return { phase: live.phase, following: follow.following, rows: session.ring.size, notShown: figures.notShown };
    },
  };
}
