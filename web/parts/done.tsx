/** @jsxImportSource hono/jsx */

/** What was just done, said once. */
export function Done({ said }: { said: string | undefined }) {
  if (said === undefined) return null
  return (
    <p class="notice" data-tone="success" role="status">
      {said}
    </p>
  )
}
