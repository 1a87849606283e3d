/**
 * JSON with whole numbers of any size.
 *
 * An event may carry integers beyond 2^53, where JavaScript's numbers lose digits. They become
 * bigint on the way in and the same digits on the way out. Nearly no text has them, so it is looked
 * at once before the slower way of parsing is taken.
 */

const LONG_DIGITS = /\d{16}/;
const INTEGER = /^-?\d+$/;

/** What newer engines tell a reviver: the text a value was read from. */
interface Context {
  readonly source?: string;
}

type Reviver = (this: unknown, key: string, value: unknown, context?: Context) => unknown;

const exact: Reviver = (_key, value, context) => {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && INTEGER.test(source) ? BigInt(source) : value;
};

export function parseJson(text: string): unknown {
  const parse = JSON.parse as (text: string, reviver?: Reviver) => unknown;
  return LONG_DIGITS.test(text) ? parse(text, exact) : parse(text);
}

/** The text of a value as parseJson gave it, indented by two. */
export function printJson(value: unknown): string {
  // A mark that no event can contain by itself, as every text of it is escaped again.
  const mark = crypto.randomUUID();
  const marked = JSON.stringify(
    value,
    (_key, inner: unknown) => (typeof inner === 'bigint' ? `${mark}${String(inner)}` : inner),
    2,
  );
  return marked.replaceAll(new RegExp(`"${mark}(-?\\d+)"`, 'g'), '$1');
}
