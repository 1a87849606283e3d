/**
 * Row times are written for every row that scrolls by, so they are put together by hand:
 * Intl costs some microseconds each. Everything else on the page uses Intl.
 */

const TWO = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'));

export function millis(timestamp: string): number {
  // Nine fractional digits are more than Date promises to read.
  return Date.parse(timestamp.length > 24 ? `${timestamp.slice(0, 23)}Z` : timestamp);
}

/** `11-22 14:03:05.123` in the time zone of the browser. */
export function rowTime(timestamp: string): string {
  const date = new Date(millis(timestamp));
  if (Number.isNaN(date.getTime())) return timestamp;
  return (
    `${TWO[date.getMonth() + 1]}-${TWO[date.getDate()]} ` +
    `${TWO[date.getHours()]}:${TWO[date.getMinutes()]}:${TWO[date.getSeconds()]}` +
    `.${String(date.getMilliseconds()).padStart(3, '0')}`
  );
}

/** `14:03:05.123`, for banners. */
export function clockTime(ms: number): string {
  return rowTime(new Date(ms).toISOString()).slice(6);
}
