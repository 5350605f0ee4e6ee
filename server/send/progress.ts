import { formatBytes, formatDuration } from './format.ts'
import type { Meter, Reading } from './meter.ts'

/** Where progress is shown: standard error, or what a test holds. */
export interface Screen {
  isTTY?: boolean | undefined
  columns?: number | undefined
  write(text: string): unknown
}

const redrawMs = 200
const plainMs = 5_000
const barWidth = 24

/**
 * Shows how far the sending is: a bar on a terminal, and elsewhere a line every five seconds at most.
 * Lines that are said in between stay.
 */
export class Progress {
  readonly #screen: Screen
  readonly #meter: Meter
  readonly #timer: NodeJS.Timeout
  #shown = ''

  constructor(screen: Screen, meter: Meter) {
    this.#screen = screen
    this.#meter = meter
    this.#timer = setInterval(() => this.#show(), screen.isTTY ? redrawMs : plainMs)
    this.#timer.unref()
  }

  say(line: string): void {
    this.#erase()
    this.#screen.write(`${line}\n`)
    if (this.#screen.isTTY) this.#show()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#erase()
  }

  #show(): void {
    const reading = this.#meter.read()
    if (!this.#screen.isTTY) {
      this.#screen.write(`${renderPlain(reading)}\n`)
      return
    }
    const line = renderBar(reading, this.#screen.columns ?? 80)
    if (line === this.#shown) return
    this.#erase()
    this.#screen.write(line)
    this.#shown = line
  }

  #erase(): void {
    // Carriage return, then "erase to the end of the line".
    if (this.#shown !== '') this.#screen.write('\r\x1b[K')
    this.#shown = ''
  }
}

/** One line that fits a terminal: a line that wraps could not be erased. */
export function renderBar(reading: Reading, columns: number): string {
  const share = reading.totalBytes > 0 ? reading.sentBytes / reading.totalBytes : 1
  const filled = Math.min(barWidth, Math.max(0, Math.floor(share * barWidth)))
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}]`
  return `${bar} ${renderPlain(reading)}`.slice(0, Math.max(0, columns - 1))
}

export function renderPlain(reading: Reading): string {
  const { sentBytes, totalBytes, sentInstances, totalInstances, bytesPerSecond, leftMs } = reading
  const percent = totalBytes > 0 ? Math.floor((sentBytes / totalBytes) * 100) : 100
  return [
    `${String(percent).padStart(3)}%`,
    `${formatBytes(sentBytes)} of ${formatBytes(totalBytes)}`,
    `${sentInstances} of ${totalInstances} instances`,
    `${formatBytes(bytesPerSecond)}/s`,
    leftMs === undefined ? '' : `${formatDuration(leftMs)} left`,
  ]
    .filter((part) => part !== '')
    .join('  ')
}
