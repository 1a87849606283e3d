export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const THEME_KEY = 'logmon.theme';
const LANGUAGE_KEY = 'logmon.language';

/** Storage can be switched off or full; the page works without it. */
function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The choice then lasts as long as the page.
  }
}

export function storedTheme(): Theme {
  const value = read(THEME_KEY);
  return THEMES.find((theme) => theme === value) ?? 'system';
}

export function applyTheme(theme: Theme): void {
  // The style sheet handles `system` by itself; the attribute only overrides it.
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  write(THEME_KEY, theme);
}

export function nextTheme(theme: Theme): Theme {
  return THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system';
}

export function storedLanguage(): string | null {
  return read(LANGUAGE_KEY);
}

export function applyLanguage(language: string, title: string): void {
  document.documentElement.lang = language;
  document.title = title;
  write(LANGUAGE_KEY, language);
}
