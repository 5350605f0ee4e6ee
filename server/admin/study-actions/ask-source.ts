import { HttpProblem } from '../../http/problem.ts'
import type { StudyAction } from './action.ts'

export const askSource: StudyAction = {
  name: 'ask-source',
  async run({ study }, { peerAsker }) {
    const verdict = await peerAsker.ask(study.studyInstanceUID)
    if (verdict !== undefined) return { verdict }
    throw new HttpProblem(409, 'There is nobody to ask: STOWAGE_PEER_URL is not set')
  },
}
