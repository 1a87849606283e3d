import { ComputerDesktopIcon, MoonIcon, QuestionMarkCircleIcon, SunIcon } from '@heroicons/react/16/solid';
import { LANGUAGES, catalogue, useText } from '../i18n';
import { cycleTheme, setLanguage } from '../state/page';
import { useSession } from '../state/store';

const THEME_ICONS = { light: SunIcon, dark: MoonIcon, system: ComputerDesktopIcon } as const;

export function TopBar() {
  const text = useText();
  const theme = useSession((state) => state.theme);
  const language = useSession((state) => state.language);
  const ThemeIcon = THEME_ICONS[theme];
  return (
    <header className="flex h-[40px] flex-none items-center gap-2 border-b border-line bg-panel px-3">
      <svg viewBox="0 0 16 16" className="h-[18px] w-[18px]" aria-hidden="true">
        <rect width="16" height="16" rx="3.5" fill="var(--accent)" />
        <path d="M3.5 5h6M3.5 8h9M3.5 11h4" stroke="var(--on-accent)" strokeWidth="1.6" strokeLinecap="round" />
      </svg>
      <h1 className="text-[14px] font-semibold tracking-tight">logmon</h1>
      <div className="ml-auto flex items-center gap-1">
        <div role="group" aria-label={text.page.language} className="flex rounded-md border border-line p-[2px]">
          {LANGUAGES.map((one) => (
            <button
              key={one}
              type="button"
              lang={one}
              aria-pressed={one === language}
              data-testid={`language-${one}`}
              onClick={() => setLanguage(one)}
              className={`h-6 rounded-[4px] px-2 text-[12px] ${one === language ? 'bg-accent-soft font-semibold text-accent' : 'text-dim hover:text-text'}`}
            >
              {one === 'en' ? 'EN' : catalogue(one).name}
            </button>
          ))}
        </div>
        <button type="button" className="icon-button" onClick={cycleTheme} title={text.page.theme(text.page.themes[theme])} aria-label={text.page.theme(text.page.themes[theme])} data-testid="theme">
          <ThemeIcon className="icon" />
        </button>
        <button type="button" className="icon-button" onClick={() => useSession.setState({ keysShown: true })} title={text.page.keys} aria-label={text.page.keys} data-testid="keys-button">
          <QuestionMarkCircleIcon className="icon" />
        </button>
      </div>
    </header>
  );
}
