/** Reads at most once in so many milliseconds, however many ask; what fails is read again. */
export function memo<T>(milliseconds: number, read: () => Promise<T>): () => Promise<T> {
  let readAt = Number.NEGATIVE_INFINITY
  let last: Promise<T> | undefined
  return () => {
    if (last !== undefined && performance.now() - readAt < milliseconds) return last
    readAt = performance.now()
    const reading = read()
    last = reading
    reading.catch(() => {
      if (last === reading) last = undefined
    })
    return reading
  }
}
