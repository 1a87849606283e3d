export const FIRST_DELAY = 250;
export const LAST_DELAY = 10_000;

/**
 * How long to wait before try number `attempt` (from 0): 250 ms, doubling to 10 s. Up to a quarter
 * is taken off at random, so that a thousand pages do not all knock on a restarted server at once.
 */
export function backoff(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** Math.min(attempt, 16));
  return Math.round(full * (1 - 0.25 * random()));
}
