import { exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Credentials } from '../../server/access/credentials.ts'
import { OidcVerifier } from '../../server/access/oidc.ts'
import { silentLog } from '../../server/log.ts'
import { Issuer, type KeyPair } from '../support/issuer.ts'
import { testApp } from './archive.ts'

let issuer: Issuer
let verifier: OidcVerifier

beforeEach(async () => {
  issuer = await new Issuer().start()
  verifier = new OidcVerifier({ issuer: issuer.url, audience: 'stowage', rolesClaim: 'roles' })
})

afterEach(() => issuer.stop())

describe('a token of an OpenID Connect provider', () => {
  test('says who it is, and which roles he has', async () => {
    const token = await issuer.token({ roles: ['stowage-operator', 'reader', 'something-else'] })
    expect(await verifier.verify(token)).toEqual({
      name: 'oidc:user-1',
      roles: ['operator', 'reader'],
    })
  })

  test('may have its roles deeper, as Keycloak does, or none of ours', async () => {
    const settings = { issuer: issuer.url, audience: 'stowage', rolesClaim: 'realm_access.roles' }
    const deeper = new OidcVerifier(settings)
    const token = await issuer.token({ realm_access: { roles: ['sender'] } })
    expect((await deeper.verify(token))?.roles).toEqual(['sender'])
    expect((await deeper.verify(await issuer.token()))?.roles).toEqual([])
  })

  test.each([
    ['expired', () => issuer.token({}, { expires: '-2m' })],
    ['of another issuer', () => issuer.token({ iss: 'https://evil.example' })],
    ['for another audience', () => issuer.token({ aud: 'another' })],
    ['not valid yet', () => issuer.token({ nbf: Math.floor(Date.now() / 1000) + 600 })],
    [
      'of a key that nobody published',
      async () => issuer.token({}, { key: (await generateKeyPair('RS256')).privateKey }),
    ],
    ['not signed at all (alg none)', async () => unsigned()],
    ['signed with the public key as a secret (HS256)', async () => confused()],
    [
      'changed by one letter',
      async () =>
        (await issuer.token()).replace(
          /\.(..)/,
          (_, two) => `.${two[0]}${two[1] === 'A' ? 'B' : 'A'}`,
        ),
    ],
    ['no token', async () => 'a.b.c'],
  ])('is refused when it is %s', async (_, make) => {
    expect(await verifier.verify(await make())).toBeUndefined()
  })

  test('is refused without an expiry', async () => {
    const token = await new SignJWT({ roles: ['admin'], sub: 'x', iss: issuer.url, aud: 'stowage' })
      .setProtectedHeader({ alg: 'RS256', kid: 'first' })
      .sign((issuer.keys.get('first') as KeyPair).privateKey)
    expect(await verifier.verify(token)).toBeUndefined()
  })

  test('cannot be judged while the issuer is away, and can as soon as it is back', async () => {
    issuer.isAway = true
    const token = await issuer.token()
    await expect(verifier.verify(token)).rejects.toMatchObject({ status: 503 })
    issuer.isAway = false
    await expect
      .poll(() => verifier.verify(token).catch(() => undefined), { timeout: 10_000 })
      .toBeDefined()
  })

  test('is good on the whole way in, and opens what its roles allow', async () => {
    await using archive = await testApp()
    const credentials = new Credentials({ db: archive.db, log: silentLog, oidc: verifier })
    expect(credentials.isGuarded).toBe(true)
    expect(await credentials.ofToken(await issuer.token())).toMatchObject({ roles: ['reader'] })
  })
})

test('keys that are changed are read anew; the old ones do not count any more', async () => {
  const old = await issuer.token()
  expect(await verifier.verify(old)).toBeDefined()
  await issuer.rotate('second')
  const fresh = await issuer.token()
  // Not at each unknown key, or anybody could make us ask: some seconds lie between two looks.
  await expect.poll(() => verifier.verify(fresh), { timeout: 20_000, interval: 500 }).toBeDefined()
  expect(await verifier.verify(old)).toBeUndefined()
})

function unsigned(): string {
  return new UnsecuredJWT({ roles: ['admin'], sub: 'x' })
    .setIssuer(issuer.url)
    .setAudience('stowage')
    .setExpirationTime('5m')
    .encode()
}

async function confused(): Promise<string> {
  const { publicKey } = issuer.keys.get('first') as KeyPair
  return new SignJWT({ roles: ['admin'], sub: 'x' })
    .setProtectedHeader({ alg: 'HS256', kid: 'first' })
    .setIssuer(issuer.url)
    .setAudience('stowage')
    .setExpirationTime('5m')
    .sign(new TextEncoder().encode(await exportSPKI(publicKey)))
}
