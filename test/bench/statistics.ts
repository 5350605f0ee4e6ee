/** The middle value, with the least and the greatest: a figure of a machine that has other work too. */
export interface Spread {
  median: number
  min: number
  max: number
  /** How many values there were. */
  count: number
}

/** @returns undefined where nothing was measured. */
export function spreadOf(values: number[]): Spread | undefined {
  if (values.length === 0) return undefined
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    count: values.length,
  }
}

/** @returns NaN of nothing. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const low = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
  const high = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  return (low + high) / 2
}

/** The value below which this share of the values lies (nearest rank). @returns NaN of nothing. */
export function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

/** Three digits, as much as such a measurement is worth. */
export function formatNumber(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '-'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 0.1 ? 2 : 3)
}

/** `3,612 (3,401-3,700)`. */
export function formatSpread(spread: Spread | undefined): string {
  if (spread === undefined) return '-'
  if (spread.count === 1) return formatNumber(spread.median)
  return `${formatNumber(spread.median)} (${formatNumber(spread.min)}-${formatNumber(spread.max)})`
}
