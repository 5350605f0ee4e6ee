// Sends files through STOW-RS, as any sender does, some hundred at a time. Files are read by the browser as they are
// sent: what is held is their names. Without JavaScript the form does the same in one request.
const filesAtOnce = 100
const bytesAtOnce = 256 * 1024 * 1024
const requestsAtOnce = 2
const filesNamed = 20
const rolledBack = 0xc0ff
const skippedNames = /^(dicomdir|\.ds_store|thumbs\.db|desktop\.ini|\._.*)$/i

const form = document.querySelector('form.upload')
const reasonNames = JSON.parse(form.dataset.reasons)
const drop = document.querySelector('#drop')
const progress = document.querySelector('#progress')
const queue = []
const batches = []
const sums = { files: 0, bytes: 0, skipped: 0, stored: 0, refused: 0, failed: 0 }
const studies = new Set()
let running = 0
let startedAt = 0

drop.hidden = false
form.addEventListener('submit', (event) => {
  const inputs = [...form.querySelectorAll('input[type=file]')]
  const files = inputs.flatMap((input) => [...input.files])
  // The server says on this page what is missing.
  if (files.length === 0) return
  event.preventDefault()
  for (const input of inputs) input.value = ''
  add(files)
})
document.addEventListener('dragover', (event) => {
  event.preventDefault()
  drop.dataset.over = ''
})
document.addEventListener('dragleave', (event) => {
  if (event.relatedTarget === null) delete drop.dataset.over
})
document.addEventListener('drop', async (event) => {
  event.preventDefault()
  delete drop.dataset.over
  const entries = [...event.dataTransfer.items]
    .map((item) => item.webkitGetAsEntry())
    .filter(Boolean)
  for (const entry of entries) await walk(entry)
  add([])
})
addEventListener('beforeunload', (event) => {
  if (running > 0 || queue.length > 0) event.preventDefault()
})

/** Adds the files of a folder as they are found, a thousand at a time. */
async function walk(entry) {
  if (entry.isFile) {
    await add([await new Promise((done, failed) => entry.file(done, failed))])
    return
  }
  const reader = entry.createReader()
  for (;;) {
    const found = await new Promise((done, failed) => reader.readEntries(done, failed))
    if (found.length === 0) return
    for (const one of found) await walk(one)
  }
}

async function add(files) {
  startedAt ||= Date.now()
  for (const file of files) {
    if (skippedNames.test(file.name) || !(await isDicom(file))) sums.skipped++
    else {
      sums.files++
      sums.bytes += file.size
      queue.push(file)
    }
  }
  pump()
}

/** PS3.10 7.1: "DICM" behind 128 bytes. */
async function isDicom(file) {
  const bytes = new Uint8Array(
    await file
      .slice(128, 132)
      .arrayBuffer()
      .catch(() => new ArrayBuffer(0)),
  )
  return String.fromCharCode(...bytes) === 'DICM'
}

function pump() {
  while (running < requestsAtOnce && queue.length > 0) {
    const files = []
    let bytes = 0
    while (
      queue.length > 0 &&
      files.length < filesAtOnce &&
      (bytes === 0 || bytes + queue[0].size <= bytesAtOnce)
    ) {
      bytes += queue[0].size
      files.push(queue.shift())
    }
    const handling = form.elements.handling.value
    const batch = {
      number: batches.length + 1,
      files,
      bytes,
      handling,
      sent: 0,
      state: 'sending',
      says: '',
      refusals: [],
    }
    batches.push(batch)
    send(batch)
  }
  show()
}

function send(batch) {
  running++
  Object.assign(batch, { state: 'sending', sent: 0, says: '', transfer: undefined, refusals: [] })
  const boundary = `stowage-${crypto.getRandomValues(new Uint32Array(4)).join('-')}`
  const head = `\r\n--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`
  const body = new Blob([...batch.files.flatMap((file) => [head, file]), `\r\n--${boundary}--\r\n`])
  const request = new XMLHttpRequest()
  request.open('POST', form.dataset.studies)
  request.setRequestHeader(
    'Content-Type',
    `multipart/related; type="application/dicom"; boundary=${boundary}`,
  )
  request.setRequestHeader('Accept', 'application/dicom+json')
  request.setRequestHeader('Prefer', `handling=${batch.handling}`)
  request.upload.onprogress = (event) => {
    batch.sent = event.total === 0 ? 0 : (event.loaded / event.total) * batch.bytes
    show()
  }
  request.onerror = () => ended(batch, undefined)
  request.onload = () => ended(batch, request)
  request.send(body)
}

function ended(batch, request) {
  running--
  const answer = request && parse(request.responseText)
  const stored = answer?.['00081199']?.Value ?? []
  // Those whose UIDs could be read, and the others.
  const refused = ['00081198', '0008119A'].flatMap((tag) => answer?.[tag]?.Value ?? [])
  for (const item of stored) {
    const study = /\/studies\/([\d.]+)/.exec(item['00081190']?.Value?.[0] ?? '')
    if (study) studies.add(study[1])
  }
  if (request && [200, 202, 409].includes(request.status)) {
    batch.sent = batch.bytes
    batch.state = refused.length === 0 ? 'stored' : stored.length === 0 ? 'refused' : 'partly'
    sums.stored += stored.length
    sums.refused += refused.length
    batch.refusedCount = refused.length
    batch.says = saysOf(stored.length, refused)
    batch.transfer = transferOf(request)
    if (refused.length > 0 && batch.transfer) nameFiles(batch, batch.transfer)
  } else {
    batch.state = 'failed'
    sums.failed += batch.files.length
    batch.says = request
      ? failureOf(request, answer)
      : 'The connection broke. What was not stored can be sent again; what was stored is not stored twice.'
  }
  pump()
}

/** Only a refusal by the archive itself says that nothing was stored; who else answers cannot know. */
function failureOf(request, answer) {
  const type = request.getResponseHeader('Content-Type') ?? ''
  const isRefused = type.startsWith('application/problem+json') && request.status < 500
  const what = `Answered ${request.status}${answer?.detail ? `: ${answer.detail}` : ''}`
  return isRefused
    ? `${what}. Nothing of this batch was stored.`
    : `${what}: whether it was stored is not known. Send it again: what was stored is not stored twice.`
}

/** The answer's Link leads to the facts of its transfer. */
function transferOf(request) {
  return /\/transfers\/([\da-f-]{36})>/.exec(request.getResponseHeader('Link') ?? '')?.[1]
}

/** Says which of a batch's files were refused, and why: the answer itself knows no files. */
async function nameFiles(batch, transfer) {
  const names = batch.files.map((file) => file.webkitRelativePath || file.name)
  const answer = await fetch(form.dataset.transfers + transfer).catch(() => undefined)
  const refusals = answer?.ok ? (await answer.json()).refusals : []
  if (batch.transfer !== transfer) return
  batch.refusals = refusals.map(
    ({ position, failureReason, detail }) =>
      `${names[position] ?? `File ${position + 1}`}: ${reasonText(failureReason)}. ${detail}`,
  )
  show()
}

function saysOf(storedCount, refused) {
  if (refused.length === 0) return `${storedCount} stored`
  const reasons = new Map()
  for (const item of refused) {
    const reason = item['00081197']?.Value?.[0] ?? 0
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  const why = [...reasons].map(
    ([reason, count]) =>
      `${count} × ${reason === rolledBack ? 'rolled back with the others' : reasonText(reason)}`,
  )
  const what = storedCount === 0 ? 'Nothing of this batch was stored' : `${storedCount} stored`
  return `${what}; ${refused.length} refused (${why.join(', ')})`
}

/** `Missing attribute (0120)`, as on the other pages. */
function reasonText(reason) {
  const hex = reason.toString(16).toUpperCase().padStart(4, '0')
  return `${reasonNames[reason] ?? 'Other reason'} (${hex})`
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

let isShowing = false
function show() {
  if (isShowing) return
  isShowing = true
  requestAnimationFrame(() => {
    isShowing = false
    draw()
  })
}

function draw() {
  progress.hidden = batches.length === 0 && sums.skipped === 0
  const sent = batches.reduce((sum, batch) => sum + batch.sent, 0)
  const isDone = running === 0 && queue.length === 0
  const onTheWay = sums.files - sums.stored - sums.refused - sums.failed
  const seconds = (Date.now() - startedAt) / 1000
  const rate = sent / Math.max(0.1, seconds)
  const left = Math.ceil((sums.bytes - sent) / Math.max(1, rate))
  document.querySelector('#sent').value = sums.bytes === 0 ? 0 : sent / sums.bytes
  document.querySelector('#stored').value = sums.files === 0 ? 0 : sums.stored / sums.files
  const words = [`${grouped(sums.stored)} of ${grouped(sums.files)} stored`]
  if (onTheWay > 0) words.push(`${grouped(onTheWay)} on the way`)
  if (sums.refused > 0) words.push(`${grouped(sums.refused)} refused`)
  if (sums.failed > 0) words.push(`${grouped(sums.failed)} failed`)
  if (sums.skipped > 0) words.push(`${grouped(sums.skipped)} skipped: no DICOM files`)
  if (!isDone)
    words.push(
      `${(rate / 1e6).toFixed(1)} MB/s`,
      `about ${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`,
    )
  document.querySelector('#words').textContent = words.join(' · ')
  drawBatches()
  const list = document.querySelector('#stored-studies')
  list.replaceChildren(...(isDone ? [...studies].slice(0, 200).map(studyLink) : []))
  document.querySelector('#stored-title').hidden = !isDone || studies.size === 0
}

function drawBatches() {
  const list = document.querySelector('#batches')
  for (const batch of batches.slice(list.children.length)) {
    const line = document.createElement('li')
    line.append(document.createElement('span'))
    list.append(line)
    batch.line = line
  }
  for (const batch of batches) {
    const { state, says, transfer, refusals } = batch
    const drawn = `${state} ${says} ${transfer} ${refusals.length}`
    if (batch.drawn === drawn) continue
    batch.drawn = drawn
    batch.line.dataset.state = batch.state
    batch.line.firstChild.textContent = `Batch ${batch.number}: ${batch.says || `sending ${batch.files.length} files`} `
    for (const old of batch.line.querySelectorAll('button, a, ul')) old.remove()
    if (transfer && form.dataset.transferPages)
      batch.line.append(
        linkTo(form.dataset.transferPages + transfer, `Transfer ${transfer.slice(0, 8)}`),
        ' ',
      )
    if (batch.state === 'failed' || batch.state === 'refused') batch.line.append(retryButton(batch))
    if (refusals.length > 0) batch.line.append(fileList(refusals))
    // What is stored needs its files no more.
    if (batch.state === 'stored') batch.files = []
  }
}

function retryButton(batch) {
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'second'
  button.textContent = `Retry batch ${batch.number}`
  button.addEventListener('click', () => {
    if (batch.state === 'failed') sums.failed -= batch.files.length
    else sums.refused -= batch.refusedCount
    batch.handling = form.elements.handling.value
    send(batch)
    show()
  })
  return button
}

/** The first of them; the page of the transfer has all. */
function fileList(refusals) {
  const list = document.createElement('ul')
  const more = refusals.length - filesNamed
  const lines = refusals.slice(0, filesNamed)
  list.append(...[...lines, ...(more > 0 ? [`and ${grouped(more)} more`] : [])].map(itemOf))
  return list
}

function studyLink(studyInstanceUID) {
  const { studyPages } = form.dataset
  return itemOf(
    studyPages ? linkTo(studyPages + studyInstanceUID, studyInstanceUID) : studyInstanceUID,
  )
}

function itemOf(content) {
  const item = document.createElement('li')
  item.append(content)
  return item
}

function linkTo(href, text) {
  const link = document.createElement('a')
  link.href = href
  link.className = 'uid'
  link.textContent = text
  return link
}

function grouped(count) {
  return count.toLocaleString('en-US')
}
