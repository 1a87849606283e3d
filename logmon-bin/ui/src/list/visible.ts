/**
 * Log text is data from elsewhere. What would act on the screen instead of being shown on it
 * (control characters, escape sequences, marks that reverse the direction of text) is replaced by a sign one can see.
 */

// C0, DEL, C1, soft direction marks, embeddings, isolates, line separators, zero-width signs, lone surrogates.
const ACTIVE =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function sign(char: string): string {
  const code = char.charCodeAt(0);
  if (code <= 0x1f) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return '\u2421';
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd';
  return `\u2039U+${code.toString(16).toUpperCase().padStart(4, '0')}\u203a`;
}

export function visible(text: string): string {
  return text.replace(ACTIVE, sign);
}

/** As `visible`, for a block of several lines: line ends and tabs keep their meaning. */
export function visibleBlock(text: string): string {
  return text.replace(ACTIVE, (char) => (char === '\n' || char === '\t' ? char : sign(char)));
}

/** A row never shows more than this; the drawer has the rest. */
export const ROW_TEXT = 4096;

export function rowText(text: string): string {
  return text.length > ROW_TEXT ? `${visible(text.slice(0, ROW_TEXT))}\u2026` : visible(text);
}
