import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose'
import { type Identity, isRole, type Role } from '../http/identity.ts'
import { HttpProblem } from '../http/problem.ts'

export interface OidcSettings {
  /** As it stands in `iss`; its configuration is found below it (OpenID Connect Discovery 1.0, 4). */
  issuer: string
  /** What `aud` must name: this server. */
  audience: string
  /** Where the roles stand in the token; dots go into objects: `realm_access.roles`. */
  rolesClaim: string
}

/**
 * Only signatures with a public key: a token "signed" with `none`, or with HS256 and the public key as its secret, is
 * none. (RFC 8725 2.1, 3.1)
 */
const algorithms = [
  ...['RS256', 'RS384', 'RS512'],
  ...['PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512'],
  'EdDSA',
]

/** Seconds by which clocks may differ. */
const clockToleranceSeconds = 30

/** Milliseconds to answer, between looks for new keys, and for which keys are believed. */
const issuerTimeoutMs = 5_000
const keyCooldownMs = 10_000
const keysBelievedMs = 600_000

/** Milliseconds before an issuer that did not answer is asked again. */
const retryMs = 2_000

/**
 * Verifies access tokens of an OpenID Connect provider: signature, `iss`, `aud`, `exp`, `nbf`.
 *
 * Its keys are read when the first token comes, so that Stowage starts without it, and again when a token names a key
 * that is not known: that is how keys are rotated.
 */
export class OidcVerifier {
  readonly #settings: OidcSettings
  #keys: Promise<ReturnType<typeof createRemoteJWKSet>> | undefined
  #failedAt = Number.NEGATIVE_INFINITY

  constructor(settings: OidcSettings) {
    this.#settings = settings
  }

  /**
   * @returns Undefined: no good token.
   * @throws {HttpProblem} 503 the issuer does not tell its keys
   */
  async verify(token: string): Promise<Identity | undefined> {
    // Three parts, or it is no JWS: nobody is asked about it.
    if (token.length > 16_384 || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return undefined
    const { issuer, audience, rolesClaim } = this.#settings
    try {
      const { payload } = await jwtVerify(token, await this.#keysOfIssuer(), {
        issuer,
        audience,
        algorithms,
        clockTolerance: clockToleranceSeconds,
        requiredClaims: ['exp', 'sub'],
      })
      return { name: `oidc:${payload.sub}`, roles: rolesOf(payload, rolesClaim) }
    } catch (error) {
      if (isIssuerAway(error)) throw issuerAway(error)
      if (error instanceof errors.JOSEError) return undefined
      throw error
    }
  }

  #keysOfIssuer(): Promise<ReturnType<typeof createRemoteJWKSet>> {
    if (this.#keys === undefined) {
      if (performance.now() - this.#failedAt < retryMs) throw issuerAway(undefined)
      const keys = discoverKeys(this.#settings.issuer)
      this.#keys = keys
      keys.catch(() => {
        this.#keys = undefined
        this.#failedAt = performance.now()
      })
    }
    return this.#keys
  }
}

async function discoverKeys(issuer: string): Promise<ReturnType<typeof createRemoteJWKSet>> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  let configuration: { issuer?: unknown; jwks_uri?: unknown }
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(issuerTimeoutMs) })
    if (!answer.ok) throw new Error(`It answered ${answer.status}`)
    configuration = (await answer.json()) as typeof configuration
  } catch (cause) {
    throw issuerAway(cause)
  }
  // OpenID Connect Discovery 1.0, 4.3: "MUST exactly match".
  if (configuration.issuer !== issuer || typeof configuration.jwks_uri !== 'string') {
    throw issuerAway(new Error('Its configuration names another issuer, or no keys'))
  }
  return createRemoteJWKSet(new URL(configuration.jwks_uri), {
    timeoutDuration: issuerTimeoutMs,
    cooldownDuration: keyCooldownMs,
    cacheMaxAge: keysBelievedMs,
  })
}

/** `reader`, or `stowage-reader` where the provider's roles are of many services. */
export function rolesOf(payload: JWTPayload, path: string): Role[] {
  let found: unknown = payload[path]
  if (found === undefined) {
    found = payload
    for (const step of path.split('.')) {
      found = typeof found === 'object' && found !== null ? Reflect.get(found, step) : undefined
    }
  }
  const names =
    typeof found === 'string' ? found.split(/[\s,]+/) : Array.isArray(found) ? found : []
  return names
    .filter((name): name is string => typeof name === 'string')
    .map((name) => name.replace(/^stowage-/, ''))
    .filter(isRole)
}

// JWKSTimeout, and what the answer for the keys was if it was no set of keys: plain JOSEErrors without a code of theirs.
function isIssuerAway(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return true
  if (error instanceof errors.JOSEError) return error.code === 'ERR_JOSE_GENERIC'
  return error instanceof TypeError
}

function issuerAway(cause: unknown): HttpProblem {
  if (cause instanceof HttpProblem) return cause
  return new HttpProblem(503, 'Cannot judge this token now: its issuer does not tell its keys', {
    headers: { 'retry-after': '5' },
    cause,
  })
}
