import { memoryStore } from '../../server/store/memory-store.ts'
import { testStore } from './store-contract.ts'

testStore('memoryStore', async () => ({
  store: memoryStore(),
  async [Symbol.asyncDispose]() {},
}))
