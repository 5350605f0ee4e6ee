/** @jsxImportSource hono/jsx */
const grouped = new Intl.NumberFormat('en-US')
const units = ['kB', 'MB', 'GB', 'TB', 'PB']

/** `1,204` */
export function countText(count: number): string {
  return grouped.format(count)
}

/** `1 instance`, `1,204 instances` */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`
}

/** `512 bytes`, `61.2 MB`: powers of 1000, three digits. */
export function bytesText(byteLength: number): string {
  if (byteLength < 1000) return countOf(byteLength, 'byte')
  let value = byteLength / 1000
  let unit = 0
  // 999.5 would be shown as 1000.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(digits)} ${units[unit]}`
}
