import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

export type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>

/** An OpenID Connect provider: its configuration, its keys, and tokens signed with them. */
export class Issuer {
  keys = new Map<string, KeyPair>()
  isAway = false
  readonly #server: Server

  constructor() {
    this.#server = createServer(
      (request, response) => void this.#answer(request.url ?? '', response),
    )
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

  async #answer(path: string, response: ServerResponse): Promise<void> {
    if (this.isAway) return void response.writeHead(503).end()
    response.setHeader('content-type', 'application/json')
    if (path === '/.well-known/openid-configuration') {
      response.end(JSON.stringify({ issuer: this.url, jwks_uri: `${this.url}/keys` }))
    } else if (path === '/keys') {
      const keys = [...this.keys].map(async ([kid, { publicKey }]) => ({
        ...(await exportJWK(publicKey)),
        kid,
      }))
      response.end(JSON.stringify({ keys: await Promise.all(keys) }))
    } else response.writeHead(404).end()
  }
}
