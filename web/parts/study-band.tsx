/** @jsxImportSource hono/jsx */
import type { Change } from '../../db/changes.ts'
import type { Arrival } from '../../db/study-life.ts'
import type { ListedStudy } from '../../db/study-list.ts'
import { durationText, Instant, instantText } from './instant.tsx'
import { studySigns, type Tone } from './state-badge.tsx'

interface StudyBandProps {
  study: ListedStudy
  changes: Change[]
  arrivals: Arrival[]
}

interface Stretch {
  word: string
  tone: Tone
  from: number
  to: number
  /** Then its end is that of the drawing, and says nothing. */
  goesOn: boolean
}

const width = 1000

/** The life of a study to scale: settling, stable, reopened; a tick for each arrival. */
export function StudyBand({ study, changes, arrivals }: StudyBandProps) {
  const stretches = stretchesOf(study, changes)
  const begin = stretches[0]?.from ?? 0
  const end = stretches.at(-1)?.to ?? begin
  const x = (at: number) => ((at - begin) / Math.max(1, end - begin)) * width
  const words = stretches.map(({ word, from, to, goesOn }) =>
    goesOn
      ? `${word} since ${instantText(new Date(from))}`
      : `${word} for ${durationText(to - from)}`,
  )
  return (
    <figure class="band">
      <svg
        viewBox={`0 0 ${width} 28`}
        preserveAspectRatio="none"
        role="img"
        aria-label={words.join(', then ')}
      >
        {stretches.map(({ tone, from, to }) => (
          <rect
            data-tone={tone}
            x={x(from)}
            y={4}
            width={Math.max(2, x(to) - x(from))}
            height={16}
          />
        ))}
        {arrivals.map(({ at }) => (
          <line x1={x(at.getTime())} x2={x(at.getTime())} y1={0} y2={28} />
        ))}
      </svg>
      <figcaption>
        {stretches.map(({ word, tone, from, to, goesOn }) => (
          <span class="key" data-tone={tone}>
            {word}{' '}
            {goesOn ? (
              <>
                since <Instant at={new Date(from)} />
              </>
            ) : (
              durationText(to - from)
            )}
          </span>
        ))}
      </figcaption>
    </figure>
  )
}

/** From the first instance to the last thing that is known, or that will be. */
export function stretchesOf(study: ListedStudy, changes: Change[]): Stretch[] {
  const turns = changes
    .filter(({ type }) => type === 'stable' || type === 'reopened')
    .map(({ type, at }) => ({ isStable: type === 'stable', at: at.getTime() }))
    .sort((a, b) => a.at - b.at)
  const stretches: Stretch[] = []
  let from = study.firstReceivedAt.getTime()
  let isStable = false
  let isFirst = true
  const push = (to: number, goesOn = false) => {
    if (to <= from && stretches.length > 0 && !goesOn) return
    const past = isStable ? 'stable' : isFirst ? 'settling' : 'reopened'
    const { word, tone } = studySigns[goesOn ? study.state : past]
    stretches.push({ word, tone, from, to: Math.max(from, to), goesOn })
  }
  for (const turn of turns) {
    if (turn.isStable === isStable) continue
    push(turn.at)
    from = turn.at
    isStable = turn.isStable
    isFirst = false
  }
  // A stable stretch is drawn as long as what came before, so that both can be seen.
  const before = from - (stretches[0]?.from ?? from)
  push(isStable ? from + Math.max(1000, before) : (study.settlesAt?.getTime() ?? from + 1000), true)
  return stretches
}
