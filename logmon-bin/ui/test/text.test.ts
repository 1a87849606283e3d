import { describe, expect, it } from 'vitest';
import { en } from '../src/i18n/en';
import { preferredLanguage } from '../src/i18n';
import { ja } from '../src/i18n/ja';
import { readProblem } from '../src/api/http';
import { gapText } from '../src/list/slot';
import { millis, rowTime } from '../src/list/time';
import { ROW_TEXT, rowText, visible, visibleBlock } from '../src/list/visible';

describe('visible text', () => {
  it('shows control characters, escapes and marks of direction', () => {
    expect(visible('\u001b[31mred\u0000\u007f')).toBe('␛[31mred␀␡');
    expect(visible('a\nb\tc\r')).toBe('a␊b␉c␍');
    expect(visible('x\u202etxt\u2066y\u200bz\u0085')).toBe('x‹U+202E›txt‹U+2066›y‹U+200B›z‹U+0085›');
  });

  it('leaves ordinary text of any script alone', () => {
    const text = '接続失敗 👍🏽 👩‍💻 <script>alert(1)</script> مرحبا';
    expect(visible(text)).toBe(text);
  });

  it('replaces half a character', () => {
    expect(visible('a\ud83db')).toBe('a\ufffdb');
    expect(visible('\udc4d')).toBe('\ufffd');
  });

  it('keeps the lines of a block', () => {
    expect(visibleBlock('a\n\tb\u001b')).toBe('a\n\tb␛');
  });

  it('cuts a huge line', () => {
    expect(rowText('x'.repeat(200_000)).length).toBe(ROW_TEXT + 1);
  });
});

describe('times', () => {
  it('reads nine digits and writes three', () => {
    expect(millis('2026-11-22T14:03:05.123456789Z')).toBe(Date.UTC(2026, 10, 22, 14, 3, 5, 123));
    const local = new Date(Date.UTC(2026, 10, 22, 14, 3, 5, 7));
    expect(rowTime(local.toISOString())).toMatch(/^\d\d-\d\d \d\d:03:05\.007$/);
    expect(rowTime('never')).toBe('never');
  });
});

describe('gap rows', () => {
  const gap = { count: 5120, byLevel: { DEBUG: 20, INFO: 5100, WARN: 0 }, reason: 'slow_reader' };

  it('say the exact number per level, in both languages', () => {
    expect(gapText(gap, en)).toBe('5,120 lines not shown (DEBUG 20, INFO 5,100): this page was too slow for them');
    expect(gapText(gap, ja)).toContain('5,120 行は表示されていません (DEBUG 20、INFO 5,100)');
  });

  it('do not make up a number', () => {
    expect(gapText({ count: null, byLevel: {}, reason: 'retention' }, en)).not.toMatch(/\d/);
  });
});

describe('language', () => {
  it('is the chosen one, else the first that the browser wants', () => {
    expect(preferredLanguage('ja', ['en'])).toBe('ja');
    expect(preferredLanguage('xx', ['fr-FR', 'ja-JP', 'en'])).toBe('ja');
    expect(preferredLanguage(null, [])).toBe('en');
  });

  it('counts in the plural where there is one', () => {
    expect(en.live.newLines(1)).toBe('1 new line');
    expect(en.live.newLines(1234)).toBe('1,234 new lines');
    expect(en.live.announce(128, 1)).toBe('128 new lines, 1 error');
  });
});

describe('problems', () => {
  it('are read as the server words them', () => {
    expect(readProblem(400, '', '{"code":"query_syntax","title":"t","status":400}').code).toBe('query_syntax');
  });

  it('are made of the status where something else answered', () => {
    expect(readProblem(502, 'Bad Gateway', '<html>')).toEqual({ code: 'http_502', title: 'HTTP 502 Bad Gateway', status: 502 });
  });
});
