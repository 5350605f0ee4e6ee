import { describe, expect, test } from 'vitest'
import { renderComparison } from './compare.ts'
import { readOptions } from './options.ts'
import { Figures, type Report, type Sample } from './report.ts'
import { median, quantile, spreadOf } from './statistics.ts'
import { renderReport } from './tables.ts'

function sample(over: Partial<Sample>): Sample {
  return {
    ...{ round: 1, case: 'small-50-c4', server: 'node', wallMs: 1000, instanceCount: 1000 },
    ...{ byteLength: 5e6, latencyP50Ms: 1, latencyP99Ms: 2, startMs: 500, problemCount: 0 },
    ...over,
  }
}

function report(samples: Sample[]): Report {
  return {
    ...{ version: 1, at: '2026-11-22T12:00:00.000Z', isQuick: false, rounds: 3, warmCount: 200 },
    machine: { processors: 2, model: 'Some', memoryBytes: 2 ** 34, platform: 'linux x64' },
    servers: [
      { id: 'node', version: 'v20' },
      { id: 'onefile', version: 'v20' },
    ],
    skipped: [{ id: 'bun', reason: 'no bun on the PATH' }],
    samples,
  }
}

describe('the figures of a benchmark', () => {
  test('ratios are those of the same rounds, whatever the rounds before were like', () => {
    const figures = new Figures({
      samples: [
        sample({ round: 1, wallMs: 1000 }),
        sample({ round: 1, server: 'onefile', wallMs: 500 }),
        sample({ round: 2, wallMs: 8000 }),
        sample({ round: 2, server: 'onefile', wallMs: 4000 }),
        sample({ round: 3, wallMs: 1000 }),
      ],
    })
    expect(figures.ratio(['small-50-c4', 'node'], ['small-50-c4', 'onefile'])).toEqual({
      ...{ median: 0.5, min: 0.5, max: 0.5, count: 2 },
    })
  })

  test('a large instance counts by its megabytes', () => {
    const figures = new Figures({ samples: [sample({ case: 'big-1-c1', byteLength: 300e6 })] })
    expect(figures.rate('big-1-c1', 'node')?.median).toBe(300)
  })

  test('what was answered wrongly does not count', () => {
    const figures = new Figures({ samples: [sample({ problemCount: 1 })] })
    expect(figures.rate('small-50-c4', 'node')).toBeUndefined()
    const target = { of: 'small-50-c4', over: 'onefile', atLeast: 1 } as const
    expect(figures.judge(target, 'node')).toEqual({ value: undefined, isReached: undefined })
  })

  test('a limit of memory holds only if every round held it', () => {
    const peaks = [100e6, 100e6, 300e6]
    const samples = peaks.map((peakBytes, index) =>
      sample({ round: index, case: 'big-1-c3', peakBytes }),
    )
    const target = { of: 'big-1-c3', peakMBAtMost: 250 } as const
    expect(new Figures({ samples }).judge(target, 'node').isReached).toBe(false)
    expect(new Figures({ samples: samples.slice(0, 2) }).judge(target, 'node').isReached).toBe(true)
  })

  test('medians and quantiles are values that were measured, or lie between two', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 2, 3])).toBe(2.5)
    expect(quantile([5, 1, 4, 2, 3], 0.5)).toBe(3)
    expect(quantile([1, 2], 0.99)).toBe(2)
    expect(spreadOf([])).toBeUndefined()
  })
})

describe('the report of a benchmark', () => {
  const before = report([sample({}), sample({ server: 'onefile', wallMs: 500 })])

  test('says what was measured, what was skipped, and what is reached', () => {
    const text = renderReport(before)
    expect(text).toContain('Stowage on Bun: skipped, no bun on the PATH')
    expect(text).toMatch(/small, 50 a request.*\| 1,000 +\| 2,000 +\|/)
    expect(text).toMatch(/rate over Orthanc a.*at least 10 .*\| - .*\| - /)
    expect(text).not.toContain('ct, 50 a request')
  })

  test('says what changed against an earlier one', () => {
    const after = report([sample({ wallMs: 500 }), sample({ server: 'onefile', wallMs: 500 })])
    const text = renderComparison(before, after)
    expect(text).toContain('1,000 -> 2,000 (+100 %)')
    expect(text).toContain('0.50 -> 1.00 (+100 %)')
    expect(text).not.toContain('Not alike')
    expect(renderComparison(before, { ...after, isQuick: true })).toContain('the size of the sets')
  })
})

describe('the options of a benchmark', () => {
  test('name cases and servers in any order', () => {
    const options = readOptions(['--only', 'ct-whole,small-1-c4', '--servers', 'onefile,node'])
    expect(options).toMatchObject({
      cases: ['small-1-c4', 'ct-whole'],
      servers: ['node', 'onefile'],
      rounds: 5,
    })
  })

  test('are refused where they mean nothing', () => {
    expect(() => readOptions(['--only', 'nothing'])).toThrow(/known are small-50-c4/)
    expect(() => readOptions(['--rounds', '0'])).toThrow(/from 1 on/)
    expect(() => readOptions(['--fast'])).toThrow(/--fast/)
  })
})
