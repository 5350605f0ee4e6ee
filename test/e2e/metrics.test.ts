import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { type StowageServer, startServer } from '../support/server.ts'
import { stow } from '../support/stow.ts'

let server: StowageServer
const studyInstanceUID = uniqueUID()

beforeAll(async () => {
  server = await startServer()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

/** What stands behind each name and its labels, as Prometheus reads it. */
async function readMetrics(): Promise<{ text: string; values: Map<string, number> }> {
  const answer = await fetch(`${server.url}/metrics`)
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  const text = await answer.text()
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return {
    text,
    values: new Map(
      lines.map((line) => {
        const space = line.lastIndexOf(' ')
        return [line.slice(0, space), Number(line.slice(space + 1))]
      }),
    ),
  }
}

describe('/metrics', () => {
  test('counts transfers, instances and requests by what became of them', async () => {
    const before = (await readMetrics()).values
    const grown = (name: string, now: Map<string, number>) =>
      (now.get(name) ?? 0) - (before.get(name) ?? 0)
    const files = [1, 2, 3].map(() => dicomFile({ studyInstanceUID }))
    expect((await stow(`${server.dicomWeb}/studies`, files)).status).toBe(200)
    expect((await stow(`${server.dicomWeb}/studies`, files)).status).toBe(200)
    const broken = new Uint8Array(200)
    expect((await stow(`${server.dicomWeb}/studies`, [broken])).status).toBe(409)
    await fetch(`${server.dicomWeb}/studies/${studyInstanceUID}/metadata`)

    const { values } = await readMetrics()
    const transfers = (state: string) => `stowage_transfers_total{service="stow",state="${state}"}`
    expect(grown(transfers('committed'), values)).toBe(2)
    expect(grown(transfers('refused'), values)).toBe(1)
    expect(grown('stowage_instances_total{outcome="stored"}', values)).toBe(3)
    expect(grown('stowage_instances_total{outcome="duplicate"}', values)).toBe(3)
    expect(grown('stowage_instances_total{outcome="refused"}', values)).toBe(1)
    expect(grown('stowage_received_bytes_total{service="stow"}', values)).toBeGreaterThan(
      2 * files.reduce((sum, file) => sum + file.byteLength, 0),
    )
    const requests = (labels: string) => `stowage_http_request_seconds_count{${labels}}`
    expect(grown(requests('method="POST",route="/dicom-web/studies",status="200"'), values)).toBe(2)
    expect(
      grown(
        requests('method="GET",route="/dicom-web/studies/:study/metadata",status="200"'),
        values,
      ),
    ).toBe(1)
    expect(values.get('stowage_database_up')).toBe(1)
    expect(values.get('stowage_server_open_transfers')).toBe(0)
    expect(values.get('stowage_server_held_bytes')).toBe(0)
  })

  test('holds nothing of what was sent (P10)', async () => {
    await fetch(`${server.dicomWeb}/studies?PatientName=Secret`)
    await fetch(`${server.url}/no/such/${studyInstanceUID}`)
    const { text } = await readMetrics()
    expect(text).not.toContain(studyInstanceUID)
    expect(text).not.toContain('Secret')
  })

  test('docs/grafana/stowage.json asks for names and labels that are there', async () => {
    const file = new URL('../../docs/grafana/stowage.json', import.meta.url)
    const { panels } = JSON.parse(readFileSync(file, 'utf8')) as {
      panels: { title: string; targets: { expr: string }[] }[]
    }
    const { text } = await readMetrics()
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    // What a server that has just begun has nothing of, it has declared.
    const declared = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].flatMap(([, name, type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    )
    const labelsOf = (name: string) =>
      new Set(
        samples
          .filter((line) => line.startsWith(`${name}{`))
          .flatMap((line) => [...line.matchAll(/(\w+)="/g)].map(([, label]) => label)),
      )
    const asked = panels.flatMap(({ title, targets }) =>
      targets.flatMap(({ expr }) =>
        [...expr.matchAll(/\b((?:stowage|process)_\w+)\{([^}]*)\}/g)].map(([, name, labels]) => ({
          title,
          name: name as string,
          labels: [...(labels as string).matchAll(/(\w+)\s*[=!]~?\s*"/g)].map(([, label]) => label),
        })),
      ),
    )
    expect(panels.length).toBeGreaterThan(15)
    expect(asked.filter(({ name }) => !declared.includes(name))).toEqual([])
    const ownLabels = asked.flatMap(({ title, name, labels }) => {
      const known = labelsOf(name)
      const missing = labels.filter((label) => label !== 'job' && label !== 'instance')
      return known.size === 0
        ? []
        : missing.filter((label) => !known.has(label)).map((l) => [title, l])
    })
    expect(ownLabels).toEqual([])
    // And everything that we count is on it.
    const shown = new Set(asked.map(({ name }) => name.replace(/_(bucket|count|sum)$/, '')))
    const ours = [...text.matchAll(/^# TYPE (stowage_\w+)/gm)].map(([, name]) => name as string)
    expect(ours.filter((name) => !shown.has(name))).toEqual([])
  })

  test('docs/operations.md explains each of our names, and no other', async () => {
    const documented = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
    const explained = new Set(documented.match(/\bstowage_[a-z_]+/g))
    const { text } = await readMetrics()
    const served = new Set([...text.matchAll(/^# TYPE (stowage_\w+)/gm)].map(([, name]) => name))
    expect([...explained].sort()).toEqual([...served].sort())
  })
})
