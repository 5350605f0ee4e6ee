import { parseArgs } from 'node:util'
import { addToken, listTokens, revokeToken, type TokenListing } from '../../db/access.ts'
import { addAuditEvents } from '../../db/audit.ts'
import { digestOf, newToken } from '../access/secrets.ts'
import { OperatorError } from '../operator-error.ts'
import { withDatabase } from './beside-server.ts'
import { type CommandContext, EXIT_DONE, UsageError } from './command.ts'
import { configured } from './configured.ts'
import { checkName, parseRoles } from './roles.ts'

const help = `Usage: stowage token create --name NAME --role ROLE[,ROLE] [--expires WHEN]
       stowage token list [--json]
       stowage token revoke NAME

Tokens for programs: they show one as "Authorization: Bearer ...". May run while servers do, and counts at once
on all of them; as their user, and with their settings.

  --role     sender, reader, operator, admin (docs/access.md says who may do what)
  --expires  A number of days like 90d, or a date like 2027-01-31; without it the token is good until it is revoked

create prints the token, alone, and this once: only its digest is kept.`

const dayMs = 86_400_000

export async function run({ args, env, print }: CommandContext): Promise<number> {
  const [action, ...rest] = args
  if (action === undefined || args.includes('--help') || args.includes('-h')) {
    print(help)
    return EXIT_DONE
  }
  if (action === 'create') {
    const { name, roles, expiresAt } = parseCreate(rest)
    const token = newToken()
    const isAdded = await withDatabase(env, 'make the token', async (db) => {
      const added = await addToken(db, { name, roles, digest: digestOf(token), expiresAt })
      if (added) await addAuditEvents(db, [configured(`token ${name} was made: ${roles}`)])
      return added
    })
    if (!isAdded) {
      throw new OperatorError(
        `Cannot make the token: there is one of the name "${name}"; revoke that first, or take another name`,
      )
    }
    print(token)
    return EXIT_DONE
  }
  if (action === 'list') {
    const { json } = parse(rest, { json: { type: 'boolean', default: false } }).values
    const tokens = await withDatabase(env, 'list the tokens', listTokens)
    for (const token of tokens) print(json ? JSON.stringify(token) : renderToken(token))
    if (tokens.length === 0 && !json) print('no tokens; "stowage token create" makes one')
    return EXIT_DONE
  }
  if (action === 'revoke') {
    const { positionals } = parse(rest, {})
    const [name, ...more] = positionals
    if (name === undefined || more.length > 0) throw wrong(args)
    const isRevoked = await withDatabase(env, 'revoke the token', async (db) => {
      const revoked = await revokeToken(db, name)
      if (revoked) await addAuditEvents(db, [configured(`token ${name} was revoked`)])
      return revoked
    })
    if (!isRevoked) {
      throw new OperatorError(`Cannot revoke "${name}": no token of this name is in force`)
    }
    print(`revoked ${name}`)
    return EXIT_DONE
  }
  throw wrong(args)
}

function parseCreate(args: string[]) {
  const { values, positionals } = parse(args, {
    name: { type: 'string' },
    role: { type: 'string' },
    expires: { type: 'string' },
  })
  const { name, role, expires } = values as Record<string, string | undefined>
  if (name === undefined || role === undefined || positionals.length > 0) throw wrong(args)
  return {
    name: checkName(name),
    roles: parseRoles(role),
    expiresAt: expires === undefined ? null : parseExpiry(expires),
  }
}

function parseExpiry(text: string): Date {
  const days = /^(\d{1,5})d$/.exec(text)?.[1]
  const isDate = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text)
  const at =
    days === undefined
      ? new Date(isDate ? text : Number.NaN)
      : new Date(Date.now() + Number(days) * dayMs)
  if (!(at.getTime() > Date.now())) {
    throw new UsageError(
      `Cannot let the token expire at "${text}": write a number of days like 90d, or a date to come like 2027-01-31`,
    )
  }
  return at
}

function renderToken(token: TokenListing): string {
  const { name, roles, createdAt, expiresAt, lastUsedAt, revokedAt } = token
  const isOver = expiresAt !== null && expiresAt.getTime() <= Date.now()
  return [
    name,
    roles.join(','),
    `made ${createdAt.toISOString()}`,
    lastUsedAt === null ? 'never used' : `last used ${lastUsedAt.toISOString()}`,
    ...(expiresAt === null ? [] : [`${isOver ? 'expired' : 'expires'} ${expiresAt.toISOString()}`]),
    ...(revokedAt === null ? [] : [`revoked ${revokedAt.toISOString()}`]),
  ].join('  ')
}

function parse(
  args: string[],
  options: NonNullable<Parameters<typeof parseArgs>[0]>['options'] & {},
) {
  try {
    return parseArgs({ args, options, allowPositionals: true })
  } catch {
    throw wrong(args)
  }
}

function wrong(args: string[]): UsageError {
  return new UsageError(`Cannot run "stowage token ${args.join(' ')}"; see "stowage token --help"`)
}
