import type { StudyAction } from './action.ts'

export const verify: StudyAction = {
  name: 'verify',
  async run({ study, signal }, { verifier }) {
    const found = await verifier.verify(study, signal)
    return {
      instances: found.instanceCount,
      bytes: found.byteLength,
      damaged: found.damagedCount,
      unreadable: found.unreadableCount,
    }
  },
}
