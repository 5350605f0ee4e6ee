/** The provider did not let him in, or what it said is not to be believed. The message is for whoever signs in. */
export class SignInRefusedError extends Error {
  override name = 'SignInRefusedError'
}
