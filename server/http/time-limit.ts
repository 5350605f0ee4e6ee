/** A signal, and what lets go of it: to be disposed of when the work is over. */
export interface TimeLimit extends Disposable {
  readonly signal: AbortSignal
}

/**
 * A signal that aborts after a time, or with another one.
 *
 * (Not `AbortSignal.any([other, AbortSignal.timeout(ms)])`: nothing holds the timeout there, and on Node 20 a collection of
 * garbage takes it away. Whoever waits for it then waits for ever: webhooks whose receivers hung were never tried again.)
 */
export function timeLimit(ms: number, other: AbortSignal): TimeLimit {
  const controller = new AbortController()
  const follow = () => controller.abort(other.reason)
  const timer = setTimeout(() => {
    controller.abort(new DOMException('The operation timed out', 'TimeoutError'))
  }, ms)
  timer.unref?.()
  other.addEventListener('abort', follow)
  if (other.aborted) follow()
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer)
      other.removeEventListener('abort', follow)
    },
  }
}
