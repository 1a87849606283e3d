import { useSession } from '../state/store';
import { en, type Catalogue } from './en';
import { ja } from './ja';

export type { Catalogue };
export const LANGUAGES = ['en', 'ja'] as const;
export type Language = (typeof LANGUAGES)[number];

const CATALOGUES: Readonly<Record<Language, Catalogue>> = { en, ja };

export function catalogue(language: Language): Catalogue {
  return CATALOGUES[language];
}

/** The texts in the language of the moment; the component renders again when it changes. */
export function useText(): Catalogue {
  return CATALOGUES[useSession((state) => state.language)];
}

export function isLanguage(value: unknown): value is Language {
  return LANGUAGES.some((language) => language === value);
}

export function preferredLanguage(stored: string | null, wanted: readonly string[]): Language {
  if (isLanguage(stored)) return stored;
  for (const tag of wanted) {
    const base = tag.toLowerCase().split('-')[0];
    if (isLanguage(base)) return base;
  }
  return 'en';
}
