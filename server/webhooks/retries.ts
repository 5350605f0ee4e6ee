/**
 * Milliseconds between one attempt and the next. The last of eleven attempts is some 28 hours after the
 * first: who mends a receiver the next morning has lost nothing.
 */
export const retryDelaysMs: readonly number[] = [
  5 * 1000,
  30 * 1000,
  2 * 60_000,
  10 * 60_000,
  30 * 60_000,
  60 * 60_000,
  2 * 3_600_000,
  4 * 3_600_000,
  8 * 3_600_000,
  12 * 3_600_000,
]

/** How far from that a wait may be, to either side, so that what failed together does not come back together. */
const jitter = 0.2

/** A receiver that asks for more is asked again all the same: it may have erred. */
const longestAskedMs = 24 * 3_600_000

/**
 * How long to wait after an attempt that failed, in milliseconds; undefined: that was the last one.
 *
 * @param attempt From 1.
 * @param random From 0 to 1.
 * @param askedMs How long the receiver wants to be left alone: not less than that, but no more than a day.
 */
export function retryDelayMs(
  attempt: number,
  delaysMs: readonly number[],
  random: number,
  askedMs = 0,
): number | undefined {
  const delayMs = delaysMs[attempt - 1]
  if (delayMs === undefined) return undefined
  const ownMs = delayMs * (1 + jitter * (2 * random - 1))
  return Math.max(ownMs, Math.min(askedMs, longestAskedMs))
}
