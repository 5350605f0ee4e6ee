import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

export type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>

/** A client that may send people to sign in. */
export const oidcClient = { clientID: 'stowage-page', clientSecret: 'only for tests' }

interface Code {
  redirectURI: string
  challenge: string
  nonce: string
}

/**
 * An OpenID Connect provider: its configuration, its keys, and tokens signed with them. Whoever comes to sign in is
 * `user-1`, without being asked.
 */
export class Issuer {
  keys = new Map<string, KeyPair>()
  isAway = false
  /** What the ID Token says beside, and what only the UserInfo does. */
  claims: JWTPayload = { roles: ['operator'] }
  userInfo: JWTPayload = {}
  /** Why nobody is let in, like `access_denied`. */
  refusal: string | undefined
  /** How clients may show their secret; undefined: nothing is said of it. */
  clientAuthMethods: string[] | undefined
  readonly #codes = new Map<string, Code>()
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async start(): Promise<this> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done))
    await this.rotate('first')
    return this
  }

  /** Its only key is another one now. */
  async rotate(kid: string): Promise<void> {
    this.keys = new Map([[kid, await generateKeyPair('RS256', { extractable: true })]])
  }

  stop(): Promise<unknown> {
    this.#server.closeAllConnections()
    return new Promise((done) => this.#server.close(done))
  }

  token(
    claims: JWTPayload = {},
    {
      kid = [...this.keys.keys()][0] as string,
      expires = '5m',
      key = undefined as CryptoKey | undefined,
    } = {},
  ): Promise<string> {
    return new SignJWT({ roles: ['reader'], ...claims })
      .setProtectedHeader({ alg: 'RS256', kid })
      .setIssuer((claims.iss as string) ?? this.url)
      .setAudience((claims.aud as string) ?? 'stowage')
      .setSubject('user-1')
      .setExpirationTime(expires)
      .sign(key ?? (this.keys.get(kid) as KeyPair).privateKey)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.isAway) return void response.writeHead(503).end()
    const { pathname, searchParams } = new URL(request.url ?? '', this.url)
    if (pathname === '/authorize') return this.#letIn(searchParams, response)
    response.setHeader('content-type', 'application/json')
    if (pathname === '/.well-known/openid-configuration') {
      response.end(
        JSON.stringify({
          issuer: this.url,
          jwks_uri: `${this.url}/keys`,
          authorization_endpoint: `${this.url}/authorize`,
          token_endpoint: `${this.url}/token`,
          userinfo_endpoint: `${this.url}/userinfo`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
          token_endpoint_auth_methods_supported: this.clientAuthMethods,
        }),
      )
    } else if (pathname === '/keys') {
      const keys = [...this.keys].map(async ([kid, { publicKey }]) => ({
        ...(await exportJWK(publicKey)),
        kid,
      }))
      response.end(JSON.stringify({ keys: await Promise.all(keys) }))
    } else if (pathname === '/token') await this.#giveToken(request, response)
    else if (pathname === '/userinfo') {
      response.end(JSON.stringify({ sub: 'user-1', ...this.userInfo }))
    } else response.writeHead(404).end()
  }

  #letIn(asked: URLSearchParams, response: ServerResponse): void {
    const back = new URL(asked.get('redirect_uri') ?? '')
    back.searchParams.set('state', asked.get('state') ?? '')
    if (this.refusal !== undefined) back.searchParams.set('error', this.refusal)
    else if (asked.get('client_id') === oidcClient.clientID) {
      const code = randomUUID()
      this.#codes.set(code, {
        redirectURI: asked.get('redirect_uri') ?? '',
        challenge: asked.get('code_challenge') ?? '',
        nonce: asked.get('nonce') ?? '',
      })
      back.searchParams.set('code', code)
    } else back.searchParams.set('error', 'unauthorized_client')
    response.writeHead(302, { location: back.href }).end()
  }

  /** RFC 6749 4.1.3, RFC 7636 4.6: each code once, for who began it. */
  async #giveToken(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += chunk
    const form = new URLSearchParams(text)
    const code = this.#codes.get(form.get('code') ?? '')
    this.#codes.delete(form.get('code') ?? '')
    const verifier = form.get('code_verifier') ?? ''
    const isGood =
      code !== undefined &&
      code.redirectURI === form.get('redirect_uri') &&
      code.challenge === createHash('sha256').update(verifier).digest('base64url') &&
      isDeepStrictEqual(clientOf(request, form), oidcClient)
    if (!isGood) return void response.writeHead(400).end(JSON.stringify({ error: 'invalid_grant' }))
    const { nonce } = code
    response.end(
      JSON.stringify({
        access_token: randomUUID(),
        token_type: 'Bearer',
        id_token: await this.token({
          ...{ roles: undefined, aud: oidcClient.clientID, nonce },
          iat: Math.floor(Date.now() / 1000),
          ...this.claims,
        }),
      }),
    )
  }
}

/** The client that shows its secret, in the header or in the form. RFC 6749 2.3.1: each half is form-encoded before. */
function clientOf(request: IncomingMessage, form: URLSearchParams): typeof oidcClient {
  const encoded = /^Basic (.*)$/.exec(request.headers.authorization ?? '')?.[1]
  if (encoded === undefined) {
    return {
      clientID: form.get('client_id') ?? '',
      clientSecret: form.get('client_secret') ?? '',
    }
  }
  const [clientID = '', clientSecret = ''] = Buffer.from(encoded, 'base64')
    .toString()
    .split(':')
    .map((half) => decodeURIComponent(half.replaceAll('+', ' ')))
  return { clientID, clientSecret }
}
