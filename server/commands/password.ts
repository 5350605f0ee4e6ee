import { parseArgs } from 'node:util'
import { findRoles, forgetPassword, hasCredentials, setPassword } from '../../db/access.ts'
import { addAuditEvents } from '../../db/audit.ts'
import type { Database } from '../../db/database.ts'
import { digestPassword, passwordLengths } from '../access/passwords.ts'
import { ROLES } from '../http/identity.ts'
import { OperatorError } from '../operator-error.ts'
import { withDatabase } from './beside-server.ts'
import { type CommandContext, EXIT_DONE, UsageError } from './command.ts'
import { configured } from './configured.ts'
import { readNewSecret } from './read-secret.ts'
import { checkName, parseRoles } from './roles.ts'

const help = `Usage: stowage password NAME [--role ROLE[,ROLE]]
       stowage password NAME --remove

Sets the password with which somebody signs in on the page, and ends all sessions under that name. The password is
asked for twice, or read from the first line of standard input; it never stands in the command. May run while servers
do; as their user, and with their settings.

  --role    sender, reader, operator, admin (docs/access.md says who may do what). Whoever has a password keeps his
            roles without it; the first of an archive that has no credentials yet is admin
  --remove  This name may not sign in any more. Of oidc:SUBJECT, whom a provider knows: he is signed out everywhere`

export async function run({ args, env, print }: CommandContext): Promise<number> {
  if (args.length === 0 || args.includes('--help') || args.includes('-h')) {
    print(help)
    return EXIT_DONE
  }
  const { name, roles, remove } = parse(args)
  if (remove) {
    const isForgotten = await withDatabase(env, 'remove the password', async (db) => {
      const forgotten = await forgetPassword(db, name)
      if (forgotten) await addAuditEvents(db, [configured(`the password of ${name} was removed`)])
      return forgotten
    })
    if (!isForgotten) {
      throw new OperatorError(`Cannot remove the password of "${name}": there is none`)
    }
    print(isIssued(name) ? `${name} is signed out` : `${name} may not sign in any more`)
    return EXIT_DONE
  }
  const what = 'set the password'
  // Before a password is typed in vain.
  await withDatabase(env, what, (db) => rolesOf(db, name, roles))
  const password = await readNewSecret(`Password for ${name}`)
  const { least, most } = passwordLengths
  if (password.length < least || password.length > most) {
    throw new OperatorError(
      `Cannot take this password: it has to have ${least} to ${most} characters`,
    )
  }
  const passwordDigest = await digestPassword(password)
  const rolesNow = await withDatabase(env, what, async (db) => {
    // Again: somebody may have changed them while the password was typed.
    const given = await rolesOf(db, name, roles)
    await setPassword(db, { name, roles: given, passwordDigest })
    await addAuditEvents(db, [configured(`a password was set for ${name}: ${given}`)])
    return given
  })
  print(`${name} may sign in, as ${rolesNow.join(', ')}`)
  return EXIT_DONE
}

/** @throws {UsageError} Nobody says which roles, and nothing does. */
async function rolesOf(
  db: Database,
  name: string,
  asked: readonly string[] | undefined,
): Promise<readonly string[]> {
  const roles = asked ?? (await findRoles(db, name))
  if (roles !== undefined) return roles
  if (!(await hasCredentials(db))) return ['admin']
  throw new UsageError(
    `Cannot set the password: "${name}" has no roles yet; write --role with one of ${ROLES.join(', ')}, or several with commas`,
  )
}

function isIssued(name: string): boolean {
  return name.startsWith('oidc:')
}

function parse(args: string[]) {
  const { values, positionals } = parseWords(args)
  const [name, ...more] = positionals
  if (name === undefined) throw wrong('whose it is, is missing')
  if (more.length > 0)
    throw wrong('one name is taken, and the password never stands in the command')
  const { role, remove } = values
  if (!remove || !isIssued(name)) checkName(name)
  return { name, roles: role === undefined ? undefined : parseRoles(role), remove }
}

function parseWords(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: { role: { type: 'string' }, remove: { type: 'boolean', default: false } },
    })
  } catch (error) {
    const [sentence] = (error as Error).message.split(/\. |\n/)
    throw wrong(sentence as string)
  }
}

function wrong(why: string): UsageError {
  return new UsageError(`Cannot set the password: ${why}; see "stowage password --help"`)
}
