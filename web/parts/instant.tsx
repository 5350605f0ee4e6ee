/** @jsxImportSource hono/jsx */
interface InstantProps {
  at: Date
}

/** An instant, in UTC, which is what the log and the API say too: `2026-03-01 14:03:42`. */
export function Instant({ at }: InstantProps) {
  return <time datetime={at.toISOString()}>{instantText(at)}</time>
}

/** The same without markup. */
export function instantText(at: Date): string {
  return at.toISOString().slice(0, 19).replace('T', ' ')
}

/** The same, which `clock.js` turns into `2 min ago`, with the instant as its title. */
export function Ago({ at }: InstantProps) {
  return (
    <time datetime={at.toISOString()} data-ago>
      {instantText(at)}
    </time>
  )
}

/** An instant to come: `at 14:03:42`, which `clock.js` counts down. */
export function Until({ at }: InstantProps) {
  const text = at.toISOString()
  return (
    <time datetime={text} data-until>
      at {text.slice(11, 19)}
    </time>
  )
}

/** `0.4 s`, `42 s`, `14 min 3 s`, `2 h 5 min`; without a place where a line may break. */
export function durationText(milliseconds: number): string {
  return spelledOut(milliseconds).replaceAll(' ', '\u00a0')
}

function spelledOut(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000
  if (seconds < 0.05) return 'under 0.1 s'
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}
