import * as client from 'openid-client'
import type { Role } from '../http/identity.ts'
import { HttpProblem } from '../http/problem.ts'
import { type OidcSettings, rolesOf } from './oidc.ts'
import { SignInRefusedError } from './sign-in-refused.ts'

export interface OidcClientSettings extends Pick<OidcSettings, 'issuer' | 'rolesClaim'> {
  clientID: string
  /** Undefined: a public client, which PKCE alone protects. */
  clientSecret: string | undefined
  scope: string
}

/** What the browser keeps while its person is at the provider. */
export interface PendingSignIn {
  state: string
  nonce: string
  /** RFC 7636: who has no cookie with this cannot use the code, though he saw it. */
  verifier: string
}

/** Seconds that the provider has for each answer. */
const timeoutSeconds = 5

/** Milliseconds before a provider that did not answer is asked again. */
const retryMs = 2_000

/**
 * Signing in to the page through an OpenID Connect provider: the authorization code flow with PKCE (OpenID Connect Core 1.0,
 * 3.1; RFC 7636; RFC 9700), by openid-client.
 *
 * The provider's configuration is read when the first one signs in, so that Stowage starts without it.
 */
export class OidcSignIn {
  readonly #settings: OidcClientSettings
  #configuration: Promise<client.Configuration> | undefined
  #failedAt = Number.NEGATIVE_INFINITY

  constructor(settings: OidcClientSettings) {
    this.#settings = settings
  }

  /** Its host name, for people. */
  get provider(): string {
    return new URL(this.#settings.issuer).host
  }

  /**
   * Where the browser goes, and what it has to bring back.
   *
   * @throws {HttpProblem} 503 the provider does not answer
   */
  async begin(redirectURI: string): Promise<{ location: string; pending: PendingSignIn }> {
    const pending = {
      state: client.randomState(),
      nonce: client.randomNonce(),
      verifier: client.randomPKCECodeVerifier(),
    }
    const url = client.buildAuthorizationUrl(await this.#configure(), {
      redirect_uri: redirectURI,
      scope: this.#settings.scope,
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(pending.verifier),
      code_challenge_method: 'S256',
    })
    return { location: url.href, pending }
  }

  /**
   * Who came back.
   *
   * @param returned The redirect URI with what the provider put behind it.
   * @returns The name under which he is known here, and his roles: as the ID Token has them, or else the UserInfo.
   * @throws {SignInRefusedError} {HttpProblem} 503 the provider does not answer
   */
  async finish(
    returned: URL,
    pending: PendingSignIn,
  ): Promise<{ userName: string; roles: Role[] }> {
    const configuration = await this.#configure()
    try {
      const tokens = await client.authorizationCodeGrant(configuration, returned, {
        expectedState: pending.state,
        expectedNonce: pending.nonce,
        pkceCodeVerifier: pending.verifier,
        idTokenExpected: true,
      })
      const claims = tokens.claims() as client.IDToken
      const { rolesClaim } = this.#settings
      let roles = rolesOf(claims, rolesClaim)
      if (roles.length === 0 && configuration.serverMetadata().userinfo_endpoint !== undefined) {
        const info = await client.fetchUserInfo(configuration, tokens.access_token, claims.sub)
        roles = rolesOf(info, rolesClaim)
      }
      return { userName: `oidc:${claims.sub}`, roles }
    } catch (error) {
      throw refusalOf(error)
    }
  }

  #configure(): Promise<client.Configuration> {
    if (this.#configuration === undefined) {
      if (performance.now() - this.#failedAt < retryMs) throw providerAway(undefined)
      const { issuer, clientID, clientSecret } = this.#settings
      const configuration = client
        .discovery(
          new URL(issuer),
          clientID,
          undefined,
          clientSecret === undefined ? client.None() : showing(clientSecret),
          {
            timeout: timeoutSeconds,
            // Only on this machine, see the setting.
            execute: issuer.startsWith('http:') ? [client.allowInsecureRequests] : [],
          },
        )
        .catch((cause) => {
          this.#configuration = undefined
          this.#failedAt = performance.now()
          throw providerAway(cause)
        })
      this.#configuration = configuration
    }
    return this.#configuration
  }
}

/**
 * In the body where the provider takes that, for in a header the secret is encoded, and not all agree how; else in the
 * header, as is the default (OpenID Connect Discovery 1.0, 3).
 */
function showing(clientSecret: string): client.ClientAuth {
  const [post, basic] = [
    client.ClientSecretPost(clientSecret),
    client.ClientSecretBasic(clientSecret),
  ]
  return (provider, ...rest) => {
    const methods = provider.token_endpoint_auth_methods_supported ?? []
    return (methods.includes('client_secret_post') ? post : basic)(provider, ...rest)
  }
}

/** What went wrong after the browser came back, in words for whoever sits before it. */
function refusalOf(cause: unknown): Error {
  if (cause instanceof client.AuthorizationResponseError) {
    const { error } = cause
    return new SignInRefusedError(
      error === 'access_denied'
        ? 'The provider did not let you in'
        : `The provider says "${wordOf(error)}"`,
      { cause },
    )
  }
  if (cause instanceof client.ResponseBodyError && cause.status < 500) {
    return new SignInRefusedError(
      `The provider does not take what it gave you: "${wordOf(cause.error)}"; try again`,
      { cause },
    )
  }
  const isAway =
    cause instanceof TypeError ||
    (cause as Error).name === 'TimeoutError' ||
    (cause as { code?: string }).code === 'OAUTH_TIMEOUT' ||
    cause instanceof client.ResponseBodyError
  if (isAway) return providerAway(cause)
  return new SignInRefusedError('What came back is not what was asked for; try again', { cause })
}

/** Codes are words (RFC 6749 4.1.2.1); what is none was not written by a provider. */
function wordOf(code: string): string {
  return /^[a-z_]{1,60}$/.test(code) ? code : 'something unreadable'
}

function providerAway(cause: unknown): HttpProblem {
  if (cause instanceof HttpProblem) return cause
  return new HttpProblem(503, 'Cannot sign in now: the provider does not answer as it should', {
    headers: { 'retry-after': '5' },
    cause,
  })
}
