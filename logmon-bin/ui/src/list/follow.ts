/** The follow rule: when the newest row is kept in view, and what is counted while it is not. */

export const NEAR_END = 24;

export interface Follow {
  readonly following: boolean;
  /** Events that came since the reader left the end. */
  readonly unseen: number;
  /** Rank of the highest level among them; -1 for none. */
  readonly highest: number;
}

export const FOLLOWING: Follow = { following: true, unseen: 0, highest: -1 };

/** Something that says "I am reading here": wheel up, selection, focus, a row opened. */
export function stop(state: Follow): Follow {
  return state.following ? { following: false, unseen: 0, highest: -1 } : state;
}

/**
 * The reader moved by `delta` pixels and is now `distance` from the end. Upwards stops at once, also
 * within the last pixels; only a movement downwards that reaches the end starts following again.
 */
export function moved(state: Follow, delta: number, distance: number): Follow {
  if (delta < 0) return stop(state);
  if (delta > 0 && distance <= NEAR_END) return FOLLOWING;
  return state;
}

export function arrived(state: Follow, count: number, highest: number): Follow {
  if (state.following || count === 0) return state;
  return { following: false, unseen: state.unseen + count, highest: Math.max(state.highest, highest) };
}
