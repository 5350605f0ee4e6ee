/**
 * An error that whoever runs the command can mend.
 *
 * The command prints its message, one sentence that says what is wrong and what to do, and no stack.
 */
export class OperatorError extends Error {
  override name = 'OperatorError'
}
