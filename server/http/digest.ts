import { createHash, type Hash } from 'node:crypto'
import { HttpProblem } from './problem.ts'

const algorithms = new Map([
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
])

/**
 * What a sender says the digest of its body is: `Content-Digest` of the bytes as sent, `Repr-Digest`
 * of the decoded ones.
 *
 * A part of a multipart body may have one too; RFC 9530 says nothing of it, we hold the part against it.
 * Algorithms other than sha-256 and sha-512 are ignored, as are fields that cannot be parsed.
 *
 * @see RFC 9530 sections 2 and 3
 */
export class DigestCheck {
  readonly #field: string
  readonly #what: string
  readonly #expected: { hash: Hash; digest: Buffer }[] = []

  /** @param what Whose digest it is, for the message. */
  constructor(
    field: 'Content-Digest' | 'Repr-Digest',
    value: string | null | undefined,
    what = 'the body',
  ) {
    this.#field = field
    this.#what = what
    if (!value) return
    // Of each algorithm one: many of them would cost as many times the processor (RFC 8941 3.2: the last one counts).
    const digests = new Map<string, Buffer>()
    for (const member of value.split(',')) {
      const [, name = '', digest = ''] =
        /^([a-z0-9-]+)\s*=\s*:([A-Za-z0-9+/=]*):/.exec(member.trim()) ?? []
      const algorithm = algorithms.get(name)
      if (algorithm !== undefined) digests.set(algorithm, Buffer.from(digest, 'base64'))
    }
    for (const [algorithm, digest] of digests) {
      this.#expected.push({ hash: createHash(algorithm), digest })
    }
  }

  update(bytes: Uint8Array): void {
    for (const { hash } of this.#expected) hash.update(bytes)
  }

  /** @throws {HttpProblem} 400 when it is another */
  verify(): void {
    if (this.#expected.every(({ hash, digest }) => hash.digest().equals(digest))) return
    throw new HttpProblem(
      400,
      `Cannot store the request: ${this.#what} does not have the digest that its ${this.#field} declares; send it again`,
    )
  }
}
