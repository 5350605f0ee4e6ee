import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'

/**
 * Who may import whom. A room is a folder; a file directly in `server/` is its own room. `type:` means
 * that only types may be imported. What is not listed is forbidden.
 */
const pure: string[] = []
const face = [
  'db',
  'server/intake',
  'server/store',
  'server/http',
  'server/dicom',
  'server/multipart',
  'server/log.ts',
  'server/trace.ts',
]
const allowed: Record<string, string[]> = {
  db: pure,
  'server/dicom': pure,
  'server/multipart': pure,
  'server/log.ts': pure,
  'server/json-log.ts': ['server/log.ts'],
  // What a piece of work is to a trace; where it goes, only the command knows.
  'server/trace.ts': pure,
  'server/tracing': ['server/log.ts', 'server/trace.ts'],
  'server/operator-error.ts': pure,
  'server/csv.ts': pure,
  'server/kept.ts': pure,
  'server/http': ['server/multipart', 'server/trace.ts'],
  'server/pixels': ['server/dicom'],
  'server/store': pure,
  'server/listen': ['server/http', 'server/operator-error.ts'],
  'server/config-shapes.ts': ['server/log.ts', 'server/operator-error.ts'],
  'server/config-table.ts': ['server/config-shapes.ts', 'server/log.ts'],
  'server/config.ts': [
    'server/config-shapes.ts',
    'server/config-table.ts',
    'server/operator-error.ts',
  ],
  'server/postgres': [
    // What is opened beside the pool ends with it.
    'db',
    'server/config.ts',
    'server/log.ts',
    'server/operator-error.ts',
  ],
  // People sign in on a page.
  'server/access': ['db', 'server/http', 'server/log.ts', 'server/operator-error.ts', 'web'],
  'server/intake': [
    'db',
    'server/store',
    'server/dicom',
    'server/http',
    'server/log.ts',
    'server/trace.ts',
  ],
  // It records what transfers come to.
  'server/audit': [
    'db',
    'server/csv.ts',
    'server/dicom',
    'server/http',
    'server/log.ts',
    'type:server/intake',
  ],
  'server/live': ['db', 'server/log.ts'],
  'server/completeness': face,
  'server/metrics': ['db', 'server/intake', 'server/http', 'server/log.ts'],
  'server/openapi': ['db', 'server/http'],
  'server/stability': ['db', 'server/http', 'server/log.ts', 'server/trace.ts'],
  'server/changes': face,
  'server/capabilities': ['server/http', 'server/multipart'],
  // What is delivered is what the feed shows.
  'server/webhooks': ['db', 'server/changes', 'server/http', 'server/log.ts', 'server/trace.ts'],
  // Reading bytes again, at a rate or because somebody asks.
  'server/verification': ['db', 'server/store', 'server/dicom', 'server/http', 'server/log.ts'],
  'server/commitment': [...face, 'server/verification'],
  'server/stow': face,
  'server/deletion': face,
  'server/qido': [...face, 'server/kept.ts'],
  'server/wado': [...face, 'server/kept.ts', 'server/pixels'],
  // The two faces that people see know what is seen.
  // What the page searches is what QIDO-RS searches.
  'server/admin': [
    ...face,
    'server/audit',
    'server/completeness',
    'server/live',
    'server/qido',
    'web',
    // What the page can have done.
    'type:server/commitment',
    'type:server/verification',
  ],
  'server/upload': [...face, 'web'],
  web: ['type:db'],
  // The sending side is a client: it knows no database.
  'server/send': [
    'server/csv.ts',
    'server/dicom',
    'server/multipart',
    'server/log.ts',
    'server/operator-error.ts',
  ],
  // It makes studies, and sends them as any client does; its route asks whether there are any.
  'server/demo': ['db', 'server/send', 'server/dicom', 'server/http', 'server/log.ts'],
  // Rows by COPY, the tables of an older Stowage, and what a restore sweeps.
  'server/backup': [
    'db',
    'server/store',
    'server/intake',
    'server/postgres',
    'server/operator-error.ts',
  ],
  'server/check': ['db', 'server/store', 'server/dicom', 'server/log.ts'],
}

/** These put the rooms together, and may know everybody. */
const composers = [
  'server/app.ts',
  'server/observe-requests.ts',
  'server/overload.ts',
  'server/errors.ts',
  'server/services.ts',
  'server/cli.ts',
  'server/commands',
  'server/main.node.ts',
  'server/main.bun.ts',
  'server/main.deno.ts',
]

interface Import {
  from: string
  to: string
  isTypeOnly: boolean
}

const imports = ['db', 'server', 'web'].flatMap(sourceFiles).flatMap(importsOf)

describe('who may import whom (docs/architecture.md)', () => {
  test('every room is listed, so that a new one gets a rule', () => {
    const rooms = new Set(['db', 'server', 'web'].flatMap(sourceFiles).map(roomOf))
    const unlisted = [...rooms].filter((room) => !(room in allowed) && !composers.includes(room))
    expect(unlisted).toEqual([])
  })

  test('no file imports from a room that its own may not know', () => {
    const forbidden = imports
      .filter(({ from, to, isTypeOnly }) => !mayImport(roomOf(from), roomOf(to), isTypeOnly))
      .map(({ from, to }) => `${from} -> ${to}`)
    expect(forbidden).toEqual([])
  })

  test('no file but the mains and the embedded Postgres knows which runtime it runs on', () => {
    const knowing = ['db', 'server', 'web']
      .flatMap(sourceFiles)
      .filter((file) => !/main\.(node|bun|deno)\.ts$|^server\/(postgres|listen)\//.test(file))
      .filter((file) => /\b(Bun|Deno)\./.test(readFileSync(file, 'utf8')))
    expect(knowing).toEqual([])
  })
})

function mayImport(from: string, to: string, isTypeOnly: boolean): boolean {
  if (from === to || composers.includes(from)) return true
  const list = allowed[from] ?? []
  return list.includes(to) || (isTypeOnly && list.includes(`type:${to}`))
}

function roomOf(file: string): string {
  const [first, second] = file.split('/')
  return first === 'server' ? `server/${second}` : (first as string)
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !/\.d\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8')
  const pattern =
    /(?:^|\n)\s*(import|export)\s+(type\s+)?[^'"]*?from\s+'(\.[^']+)'|import\('(\.[^']+)'\)/g
  return [...text.matchAll(pattern)].map(([, , type, path, dynamic]) => ({
    from: file,
    to: relative('.', join(dirname(file), (path ?? dynamic) as string)),
    isTypeOnly: type !== undefined,
  }))
}
