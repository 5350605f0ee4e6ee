import { expect, test } from 'vitest'
import { image, pixels, size } from '../e2e/pictures.ts'
import { dicomFile, uniqueUID } from '../support/dicom-file.ts'
import { testApp } from '../web/app.ts'

test('a reader who leaves before his picture is made is no fault, and is not in the log', async () => {
  await using archive = await testApp()
  const studyInstanceUID = uniqueUID()
  await archive.send([
    dicomFile({ studyInstanceUID, ...size, pixelBytes: pixels, elements: image }),
  ])
  const url = `http://127.0.0.1/dicom-web/studies/${studyInstanceUID}/thumbnail`
  const signal = AbortSignal.abort(new Error('The client has left'))
  const answer = await archive.app.request(new Request(url, { signal }))
  expect(answer.status).toBe(400)
  expect(archive.log()).not.toContain('a request failed')
  expect((await archive.app.request(url)).status).toBe(200)
})
