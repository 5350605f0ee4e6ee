import { addToken, revokeToken, setPassword } from '../../db/access.ts'
import { digestPassword } from '../../server/access/passwords.ts'
import { digestOf, newToken } from '../../server/access/secrets.ts'
import type { Role } from '../../server/http/identity.ts'
import { type TestApp, testApp } from '../web/app.ts'

export const password = 'correct horse battery staple'

/** An archive with a token. */
export async function giveToken(
  archive: TestApp,
  name: string,
  roles: Role[],
  expiresAt: Date | null = null,
): Promise<string> {
  const token = newToken()
  await addToken(archive.db, { name, roles, digest: digestOf(token), expiresAt })
  return token
}

/** One token of each kind: good ones of every role, and such as are no longer. */
export async function giveTokens(archive: TestApp) {
  const tokens = {
    sender: await giveToken(archive, 'a-sender', ['sender']),
    reader: await giveToken(archive, 'a-reader', ['reader']),
    operator: await giveToken(archive, 'an-operator', ['operator']),
    admin: await giveToken(archive, 'an-admin', ['admin']),
    expired: await giveToken(archive, 'expired', ['admin'], new Date(Date.now() - 1000)),
    revoked: await giveToken(archive, 'revoked', ['admin']),
    wrong: newToken(),
  }
  await revokeToken(archive.db, 'revoked')
  return tokens
}

export async function giveUser(archive: TestApp, name: string, roles: Role[]): Promise<void> {
  await setPassword(archive.db, { name, roles, passwordDigest: await digestPassword(password) })
}

export function bearer(token: string): { authorization: string } {
  return { authorization: `Bearer ${token}` }
}

export { testApp }
