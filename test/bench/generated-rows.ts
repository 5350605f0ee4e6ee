import type postgres from 'postgres'

/** Where copies of the rows of one study are kept, out of the server's sight. */
const templateSchema = 'bench_template'

/** Larger than any number that the rows of one study hold in a key. */
const keyStride = 10_000

/** Studies in one statement: about a million instances. */
const studiesPerStatement = 5000

interface Column {
  name: string
  type: string
  isIdentity: boolean
}

interface TemplateTable {
  name: string
  columns: Column[]
}

/**
 * Fills a database with studies that no one sent: copies of one that the server itself has stored, so
 * that every table has what the server would have written, whatever its columns are.
 *
 * What names a study, series, instance, patient, transfer or segment is made anew in each copy, by the
 * name and type of its column; all else is copied. UIDs of different studies lie far apart in the
 * indexes, as those of many scanners do.
 */
export class GeneratedRows {
  readonly #sql: postgres.Sql
  readonly #tables: TemplateTable[]
  readonly #varied: Readonly<Record<string, string>>
  readonly #studyInstanceUID: string
  /** Instances of the study that is copied. */
  readonly instancesPerStudy: number
  /** Tables that hold rows, but none that can be copied. */
  readonly leftAlone: string[]

  private constructor(
    sql: postgres.Sql,
    tables: TemplateTable[],
    varied: Readonly<Record<string, string>>,
    study: { studyInstanceUID: string; instanceCount: number; leftAlone: string[] },
  ) {
    this.#sql = sql
    this.#tables = tables
    this.#varied = varied
    this.#studyInstanceUID = study.studyInstanceUID
    this.instancesPerStudy = study.instanceCount
    this.leftAlone = study.leftAlone
  }

  /**
   * Takes the only study of a database as the one to copy.
   *
   * @param sql One connection of a superuser.
   * @param varied SQL of columns that differ in each copy, of its number `n`.
   * @throws {Error} There is not exactly one study.
   */
  static async prepare(
    sql: postgres.Sql,
    varied: Readonly<Record<string, string>> = {},
  ): Promise<GeneratedRows> {
    const studies = await sql`select study_instance_uid from studies`
    const [instances] = await sql`select count(*)::int as count from instances`
    if (studies.length !== 1)
      throw new Error(`Cannot copy ${studies.length} studies: one is needed`)
    await sql`create schema ${sql(templateSchema)}`
    const tables: TemplateTable[] = []
    const leftAlone: string[] = []
    for (const table of await readTables(sql)) {
      const isEmpty = (await sql`select from ${sql(table.name)} limit 1`).length === 0
      if (isEmpty) continue
      if (!table.columns.some(isMadeAnew)) {
        leftAlone.push(table.name)
        continue
      }
      tables.push(table)
      await sql`create table ${sql(templateSchema)}.${sql(table.name)} as select * from ${sql(table.name)}`
    }
    return new GeneratedRows(sql, tables, varied, {
      studyInstanceUID: studies[0]?.study_instance_uid as string,
      instanceCount: instances?.count as number,
      leftAlone,
    })
  }

  /** The same on a new connection, after the server was started again. */
  on(sql: postgres.Sql): GeneratedRows {
    return new GeneratedRows(sql, this.#tables, this.#varied, {
      studyInstanceUID: this.#studyInstanceUID,
      instanceCount: this.instancesPerStudy,
      leftAlone: this.leftAlone,
    })
  }

  /** Adds copies until there are about so many instances; then vacuums, analyzes and writes all out. */
  async fillUpTo(instanceCount: number): Promise<void> {
    const sql = this.#sql
    const [found] = await sql`select count(*)::int as count from instances`
    const missing = instanceCount - (found?.count as number)
    const studyCount = Math.max(0, Math.ceil(missing / this.instancesPerStudy))
    // Foreign keys hold by construction; checking thirty million of them takes longer than all else.
    await sql`set session_replication_role = replica`
    let next = await this.#firstFreeStudy()
    for (let left = studyCount; left > 0; left -= studiesPerStatement) {
      const count = Math.min(left, studiesPerStatement)
      for (const table of this.#tables) await this.#copy(table, next, count)
      next += count
    }
    await sql`set session_replication_role = origin`
    for (const table of this.#tables) await this.#moveSequences(table)
    await sql`vacuum analyze`
    await sql`checkpoint`
  }

  async #copy({ name, columns }: TemplateTable, first: number, count: number): Promise<void> {
    const sql = this.#sql
    const values = columns
      .map((column) => this.#valueOf(column))
      .reduce((list, value) => sql`${list}, ${value}`)
    await sql`
      insert into ${sql(name)} (${sql(columns.map((column) => column.name))})
      overriding system value
      select ${values}
      from ${sql(templateSchema)}.${sql(name)} t
      cross join generate_series(${first}::bigint, ${first + count - 1}::bigint) n`
  }

  #valueOf(column: Column): postgres.Fragment {
    const sql = this.#sql
    const old = sql`t.${sql(column.name)}`
    const varied = this.#varied[column.name]
    if (varied !== undefined) return sql.unsafe(varied)
    switch (ruleOf(column)) {
      case 'key':
        return sql`n * ${sql.unsafe(String(keyStride))} + ${old}`
      case 'uuid':
        return sql`md5(${old}::text || n)::uuid`
      case 'uid':
        // The study's part of the UID is replaced. Ten digits of a digest scatter the studies.
        return sql`
          '1.2.840.113619.2.55.3.'
          || (('x' || substr(md5(n::text), 1, 8))::bit(32)::bigint + 1000000000) || '.' || n
          || substr(${old}, length(${this.#studyInstanceUID}::text) + 1)`
      case 'text':
        return sql`${old} || '-' || n`
      case 'digest':
        return sql`sha256(${old} || convert_to(n::text, 'UTF8'))`
      default:
        return old
    }
  }

  /** A number whose keys no row has yet. */
  async #firstFreeStudy(): Promise<number> {
    const sql = this.#sql
    let greatest = 0
    for (const { name, columns } of this.#tables) {
      for (const column of columns.filter(({ isIdentity }) => isIdentity)) {
        const [row] = await sql`select max(${sql(column.name)})::float8 as key from ${sql(name)}`
        greatest = Math.max(greatest, (row?.key as number | null) ?? 0)
      }
    }
    return Math.floor(greatest / keyStride) + 1
  }

  async #moveSequences({ name, columns }: TemplateTable): Promise<void> {
    const sql = this.#sql
    for (const column of columns.filter(({ isIdentity }) => isIdentity)) {
      await sql`
        select setval(
          pg_get_serial_sequence(${name}, ${column.name}),
          (select max(${sql(column.name)}) from ${sql(name)})
        )`
    }
  }
}

type Rule = 'key' | 'uuid' | 'uid' | 'text' | 'digest'

/** How a column is made anew; undefined where it is copied. */
function ruleOf({ name, type, isIdentity }: Column): Rule | undefined {
  if (isIdentity || ((name.endsWith('_key') || name === 'seq') && type === 'bigint')) return 'key'
  if (name === 'transfer_id' || name === 'segment_id') return 'uuid'
  if (name.endsWith('_instance_uid')) return 'uid'
  if (name === 'patient_id' || name === 'patient_name' || name === 'accession_number') return 'text'
  if (name === 'digest') return 'digest'
  return undefined
}

function isMadeAnew(column: Column): boolean {
  return ruleOf(column) !== undefined
}

/** The server's tables with the columns that can be written. */
async function readTables(sql: postgres.Sql): Promise<TemplateTable[]> {
  const rows = await sql<{ table: string; name: string; type: string; identity: string }[]>`
    select
      c.table_name as table, c.column_name as name, c.data_type as type, c.is_identity as identity
    from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'public'
    and t.table_type = 'BASE TABLE'
    and c.is_generated = 'NEVER'
    order by c.table_name, c.ordinal_position`
  const tables = new Map<string, TemplateTable>()
  for (const { table, name, type, identity } of rows) {
    const known = tables.get(table) ?? { name: table, columns: [] }
    known.columns.push({ name, type, isIdentity: identity === 'YES' })
    tables.set(table, known)
  }
  return [...tables.values()]
}
