import { parseArgs } from 'node:util'
import { addToken, listTokens, revokeToken, type TokenListing } from '../../db/access.ts'
import { addAuditEvents } from '../../db/audit.ts'
import { digestOf, newToken } from '../access/secrets.ts'
import { ROLES } from '../http/identity.ts'
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
    const what = 'list the tokens'
    const { values, positionals } = parse(rest, { json: { type: 'boolean' } }, what)
    const { json } = values
    if (positionals.length > 0) throw wrong(what, `"${positionals[0]}" belongs to nothing`)
    const tokens = await withDatabase(env, what, listTokens)
    for (const token of tokens) print(json ? JSON.stringify(token) : renderToken(token))
    if (tokens.length === 0 && !json) print('no tokens; "stowage token create" makes one')
    return EXIT_DONE
  }
  if (action === 'revoke') {
    const what = 'revoke the token'
    const [name, ...more] = parse(rest, {}, what).positionals
    if (name === undefined) throw wrong(what, 'its name is missing')
    if (more.length > 0) throw wrong(what, 'one name at a time')
    const isRevoked = await withDatabase(env, what, async (db) => {
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
  throw wrong(`run "stowage token ${action}"`, 'it is create, list or revoke')
}

function parseCreate(args: string[]) {
  const what = 'make the token'
  const options = {
    name: { type: 'string' },
    role: { type: 'string' },
    expires: { type: 'string' },
  } as const
  const { values, positionals } = parse(args, options, what)
  const { name, role, expires } = values as Record<string, string | undefined>
  if (name === undefined) {
    throw wrong(what, '--name is missing; write whose it is, such as --name ct-2')
  }
  if (role === undefined) {
    throw wrong(what, `--role is missing; write one of ${ROLES.join(', ')}, or several with commas`)
  }
  if (positionals.length > 0) throw wrong(what, `"${positionals[0]}" belongs to nothing`)
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
  what: string,
) {
  try {
    return parseArgs({ args, options, allowPositionals: true })
  } catch (error) {
    const [sentence] = (error as Error).message.split(/\. |\n/)
    throw wrong(what, sentence as string)
  }
}

function wrong(what: string, why: string): UsageError {
  return new UsageError(`Cannot ${what}: ${why}; see "stowage token --help"`)
}
