// Nothing in these tests sleeps for a fixed time and hopes: they wait for a condition, up to a deadline.

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `probe` until it gives something truthy, and returns that. */
export async function until(what, probe, deadlineMs = 15_000, everyMs = 25) {
  const end = Date.now() + deadlineMs;
  let last;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for: ${what}`, { cause: last });
    await pause(everyMs);
  }
}
