/** @jsxImportSource hono/jsx */

interface SparkProps {
  values: number[]
  label: string
}

/** A few columns beside a number, without scale. */
export function Spark({ values, label }: SparkProps) {
  const most = Math.max(1, ...values)
  return (
    <svg class="spark" viewBox={`0 0 ${values.length * 6} 20`} role="img" aria-label={label}>
      {values.map((value, index) => {
        const height = value === 0 ? 1 : Math.max(3, (value / most) * 20)
        return <rect x={index * 6} y={20 - height} width={4} height={height} />
      })}
    </svg>
  )
}

export interface Column {
  /** What it stands for: `14:00`. */
  label: string
  value: number
  /** Drawn on top, in the tone of what is wrong. */
  wrong?: number
}

interface ChartProps {
  /** What it shows, and what can be seen. */
  title: string
  columns: Column[]
  valueName: string
  text(value: number): string
}

const size = { width: 480, height: 120 }

/** Columns to scale, with the greatest written on; the same as a table below. */
export function Chart({ title, columns, valueName, text }: ChartProps) {
  const totals = columns.map(({ value, wrong = 0 }) => value + wrong)
  const most = Math.max(1, ...totals)
  const step = size.width / Math.max(1, columns.length)
  const height = (value: number) => (value / most) * size.height
  const hasWrong = columns.some(({ wrong }) => wrong !== undefined)
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <svg viewBox={`0 -18 ${size.width} ${size.height + 34}`} role="img" aria-label={title}>
        {columns.map(({ value, wrong = 0 }, index) => (
          <>
            <rect
              x={index * step}
              y={size.height - height(value)}
              width={step * 0.8}
              height={height(value)}
            />
            {wrong > 0 && (
              <rect
                data-tone="danger"
                x={index * step}
                y={size.height - height(value + wrong)}
                width={step * 0.8}
                height={Math.max(2, height(wrong))}
              />
            )}
          </>
        ))}
        <line x1={0} x2={size.width} y1={size.height} y2={size.height} />
        <text x={0} y={-6}>
          {Math.max(...totals) === 0 ? 'nothing' : `most: ${text(Math.max(...totals))}`}
        </text>
        <text x={0} y={size.height + 13}>
          {columns[0]?.label}
        </text>
        <text x={size.width} y={size.height + 13} text-anchor="end">
          {columns.at(-1)?.label}
        </text>
      </svg>
      <details class="more">
        <summary>As a table</summary>
        <table>
          <caption class="unseen">{title}</caption>
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col" class="number">
                {valueName}
              </th>
              {hasWrong && (
                <th scope="col" class="number">
                  Refused
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {columns.map(({ label, value, wrong }) => (
              <tr>
                <td>{label}</td>
                <td class="number">{text(value)}</td>
                {hasWrong && <td class="number">{text(wrong ?? 0)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  )
}
