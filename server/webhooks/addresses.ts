import { lookup } from 'node:dns/promises'
import { BlockList, isIP, isIPv6 } from 'node:net'

/** The address of a receiver is one that deliveries do not go to. */
export class PrivateAddressError extends Error {
  override name = 'PrivateAddressError'

  constructor() {
    super(
      'the address is a private one; STOWAGE_WEBHOOK_PRIVATE_ADDRESSES=on allows such receivers',
    )
  }
}

// What is not "globally reachable" in the registries of special-purpose addresses (RFC 6890, as IANA keeps
// them), with multicast and what is reserved.
const privateIPv4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const

// Of IPv6 only 2000::/3 is given to anybody; these in it are not, or lead to an IPv4 address of any kind.
const publicIPv6 = ['2000::', 3] as const
const privateIPv6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const

const refused = new BlockList()
for (const [address, bits] of privateIPv4) refused.addSubnet(address, bits, 'ipv4')
for (const [address, bits] of privateIPv6) refused.addSubnet(address, bits, 'ipv6')
const given = new BlockList()
given.addSubnet(...publicIPv6, 'ipv6')

/** Whether everybody's packets may go there. An IPv4 address in the clothes of IPv6 (::ffff:10.0.0.1) may not. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false
  if (!isIPv6(address)) return !refused.check(address, 'ipv4')
  return given.check(address, 'ipv6') && !refused.check(address, 'ipv6')
}

/** Host names that are being looked up: one that is never answered takes one thread, not one for each delivery. */
const lookups = new Map<string, Promise<string[]>>()

/**
 * The addresses that a host name stands for, to be connected to as they are: whoever looked it up a second time
 * could get another answer than the one that was checked.
 *
 * @param hostname Of a URL: an IPv6 address is in brackets.
 * @returns at least one; IPv4 first, which more networks can reach.
 * @throws {PrivateAddressError} one of them is private, and that is not allowed.
 */
export async function addressesOf(hostname: string, isPrivateAllowed: boolean): Promise<string[]> {
  const name = hostname.replace(/^\[|\]$/g, '')
  const addresses = isIP(name) === 0 ? await lookupOnce(name) : [name]
  if (!isPrivateAllowed && !addresses.every(isPublicAddress)) throw new PrivateAddressError()
  return addresses.toSorted((a, b) => isIP(a) - isIP(b))
}

function lookupOnce(name: string): Promise<string[]> {
  const known = lookups.get(name)
  if (known !== undefined) return known
  const asked = lookup(name, { all: true })
    .then((found) => found.map(({ address }) => address))
    .finally(() => lookups.delete(name))
  lookups.set(name, asked)
  return asked
}
