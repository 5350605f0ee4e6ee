/** Serialization failure, deadlock. */
const retriedCodes = new Set(['40001', '40P01'])
const commitAttempts = 10

/** What Postgres says when a commit cannot be made. */
export interface CommitError extends Error {
  code?: string
  detail?: string
  constraint_name?: string
}

/**
 * Tries a commit again when another one was in its way.
 *
 * @param judge Makes a result of an error; undefined where it is none.
 * @throws any other error of the last attempt
 */
export async function retryCommit<Result>(
  commit: () => Promise<Result>,
  judge: (error: CommitError) => Result | undefined,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await commit()
    } catch (thrown) {
      const error = thrown as CommitError
      const result = judge(error)
      if (result !== undefined) return result
      if (!wasInTheWay(error) || attempt === commitAttempts) throw error
      // Those who met are not to meet again at once.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * attempt))
    }
  }
}

/** Another transaction was faster, or waited for this one: tried again, it may go. */
export function wasInTheWay({ code, constraint_name }: CommitError): boolean {
  if (code === '23505') return constraint_name === 'instances_pkey'
  return code !== undefined && retriedCodes.has(code)
}
