/** A JSON Schema, or another object of OpenAPI 3.1. */
export type Schema = { readonly [member: string]: unknown }

export interface Operation {
  summary: string
  parameters?: readonly Schema[]
  requestBody?: Schema
  responses: { readonly [status: string]: Schema }
}

/** Operations by path and method. Paths as the router has them, with `{name}` for `:name`. */
export type Paths = {
  readonly [path: string]: Partial<
    Readonly<Record<'get' | 'put' | 'post' | 'patch' | 'delete', Operation>>
  >
}

export const text: Schema = { type: 'string' }
export const flag: Schema = { type: 'boolean' }
export const instant: Schema = { type: 'string', format: 'date-time' }
export const uuid: Schema = { type: 'string', format: 'uuid' }
export const count: Schema = { type: 'integer', minimum: 0 }
export const uid: Schema = { type: 'string', pattern: '^[0-9.]{1,64}$' }
export const sha256: Schema = { type: 'string', pattern: '^[0-9a-f]{64}$' }

export function oneOf(names: readonly string[]): Schema {
  return { type: 'string', enum: [...names] }
}

export function list(items: Schema): Schema {
  return { type: 'array', items }
}

/** @param properties A name that ends in `?` may be left out; there are no others. */
export function object(properties: Record<string, Schema>, description?: string): Schema {
  const names = Object.keys(properties)
  return {
    type: 'object',
    ...(description === undefined ? {} : { description }),
    properties: Object.fromEntries(
      names.map((name) => [name.replace('?', ''), properties[name] as Schema]),
    ),
    required: names.filter((name) => !name.endsWith('?')),
    additionalProperties: false,
  }
}

export function inPath(name: string, schema: Schema): Schema {
  return { name, in: 'path', required: true, schema }
}

export function inQuery(name: string, schema: Schema, description: string): Schema {
  return { name, in: 'query', schema, description }
}

/** Several of these with commas between them. */
export function commaList(names: readonly string[]): Schema {
  return { type: 'string', pattern: `^(${names.join('|')})(,(${names.join('|')}))*$` }
}

export function json(description: string, schema: Schema): Schema {
  return { description, content: { 'application/json': { schema } } }
}

export function empty(description: string): Schema {
  return { description }
}

export function body(schema: Schema): Schema {
  return { required: true, content: { 'application/json': { schema } } }
}

/** An error, as RFC 9457 says it; any operation may end with some of them. */
export function problem(description: string): Schema {
  return {
    description,
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/problem' } } },
  }
}

export const notFound = problem('There is no such thing')
/** `deletion` is the number of the deletion; `since`, from where the feed goes on. */
export const gone = problem('It was deleted, or the changes are removed')
export const badRequest = problem('What is wrong, by its name')
