/**
 * Lets a stream of events go on for as long as the credentials by which it was asked for are good: it would not end by
 * itself. Whoever reads it then asks again, and is told why not.
 *
 * @param follow Is given what is to be called when they are no longer good, and returns what ends that.
 */
export function whileGood(response: Response, follow: (end: () => void) => () => void): Response {
  if (response.body === null) return response
  const reader = response.body.getReader()
  let isOver = false
  let unfollow = () => {}
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        unfollow = follow(() => {
          isOver = true
          controller.close()
          reader.cancel().catch(() => {})
        })
      },
      async pull(controller) {
        const { done, value } = await reader.read()
        if (isOver) return
        if (!done) return controller.enqueue(value)
        unfollow()
        controller.close()
      },
      cancel(reason) {
        unfollow()
        return reader.cancel(reason)
      },
    },
    // As without it: nothing is made that nobody has asked for.
    { highWaterMark: 0 },
  )
  return new Response(body, response)
}

/** Whether an answer goes on until its reader leaves. */
export function isStream(response: Response): boolean {
  return response.headers.get('content-type')?.startsWith('text/event-stream') ?? false
}
