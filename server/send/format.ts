const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `1.4 GiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** `1:02:03`, or `2:03` where there are no hours. */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  const pairs = [Math.floor(seconds / 60) % 60, seconds % 60]
  const hours = Math.floor(seconds / 3600)
  const rest = pairs.map((pair) => String(pair).padStart(2, '0')).join(':')
  return hours > 0 ? `${hours}:${rest}` : rest.replace(/^0/, '')
}

/** `1 instance`, `2 instances`, `2 studies`. */
export function counted(count: number, noun: 'instance' | 'study' | 'file'): string {
  if (count === 1) return `1 ${noun}`
  return noun === 'study' ? `${count} studies` : `${count} ${noun}s`
}
