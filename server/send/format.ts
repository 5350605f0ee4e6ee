const units = ['kB', 'MB', 'GB', 'TB', 'PB'] as const

/** `512 bytes`, `61.2 MB`: powers of 1000, three digits, as on the page. */
export function formatBytes(byteLength: number): string {
  const bytes = Math.round(byteLength)
  if (bytes < 1000) return counted(bytes, 'byte')
  let value = bytes / 1000
  let unit = 0
  // 999.5 would be shown as 1000.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${units[unit]}`
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
export function counted(count: number, one: string): string {
  return count === 1 ? `1 ${one}` : `${count} ${one.replace(/y$/, 'ie')}s`
}
