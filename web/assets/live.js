// The live stream and its reconnecting are hx-sse's. This says how it is, lets people pause it, and keeps what
// comes from moving the list under somebody who reads it.
const told = { on: 'Live', paused: 'Paused', off: 'Not live: connecting' }
const staleAfterMs = 30_000
const announceEveryMs = 10_000
let connection
let isFirstMessage = true
let isPaused = false
let isSignedOut = false
let offSince
let changedRows = new Set()
let announcedAt = 0

document.addEventListener('htmx:sse:after:connection', (event) => {
  connection = event.detail.connection
  offSince = undefined
  isFirstMessage = true
  tell('on')
})
document.addEventListener('htmx:sse:before:connection', (event) => {
  if (isPaused || isSignedOut) event.detail.connection.cancelled = true
  else tell('off')
})
document.addEventListener('htmx:sse:error', (event) => {
  if (event.detail.status === 401) signOut()
  else tell('off', 'Not live: trying again')
})
document.addEventListener('htmx:sse:close', () => {
  if (!isPaused && !isSignedOut) tell('off', 'Not live: reload the page')
})
document.addEventListener('htmx:sse:before:message', (event) => {
  const { message } = event.detail
  if (isPaused) event.preventDefault()
  else message.data = choose(message.data)
})
document.addEventListener('htmx:sse:after:message', () => {
  // The first message is all that there is, also what was here already.
  if (isFirstMessage) changedRows = new Set()
  isFirstMessage = false
  for (const id of changedRows) freshen(document.getElementById(id))
  announce()
})

const control = document.querySelector('#live-state')
control?.removeAttribute('disabled')
control?.addEventListener('click', () => (isPaused ? goOn() : pause()))
setInterval(tellStale, 1000)

function pause() {
  isPaused = true
  connection?.reader?.cancel()
  tell('paused')
}

function goOn() {
  isPaused = false
  const old = document.querySelector('#live')
  const fresh = document.createElement('div')
  for (const { name, value } of old.attributes) {
    if (name !== 'data-htmx-powered') fresh.setAttribute(name, value)
  }
  old.replaceWith(fresh)
  tell('off')
  htmx.process(fresh)
}

/** To try again would be refused again. */
function signOut() {
  isSignedOut = true
  tell('off', 'Signed out')
  control?.setAttribute('disabled', '')
  const notice = document.querySelector('#stale')
  if (notice === null) return
  const link = document.createElement('a')
  link.href = `login?next=${encodeURIComponent(location.pathname + location.search)}`
  link.textContent = 'sign in'
  notice.replaceChildren('You are signed out: ', link, ' to go on.')
  notice.hidden = false
}

function tell(live, text = told[live]) {
  if (live === 'off') offSince ??= new Date()
  if (live === 'paused') offSince = undefined
  if (control === null || control.textContent === text) return
  control.dataset.live = live
  control.textContent = text
  control.setAttribute('aria-pressed', String(live === 'paused'))
  tellStale()
}

function tellStale() {
  const notice = document.querySelector('#stale')
  if (notice === null || isSignedOut) return
  const isStale = offSince !== undefined && Date.now() - offSince.getTime() > staleAfterMs
  if (notice.hidden === !isStale) return
  notice.textContent = isStale
    ? `Not live since ${offSince.toISOString().slice(11, 19)} UTC. Reconnecting.`
    : ''
  notice.hidden = !isStale
}

/**
 * What of a message is shown. A list in another order waits behind a button while somebody is in it or further
 * down; rows change where they are, if they are here.
 */
function choose(data) {
  const parts = [
    ...data.matchAll(/<hx-partial hx-target="#([^"]+)"([^>]*)>[\s\S]*?<\/hx-partial>/g),
  ]
  const list = parts.find(([, , attributes]) => attributes.includes('data-list'))
  const target = list && document.getElementById(list[1])
  let takesList = false
  if (target) {
    const ids = [...list[0].matchAll(/<tr id="([^"]+)"/g)].map(([, id]) => id)
    const shown = [...target.querySelectorAll('tbody tr[id]')].map((row) => row.id)
    const isMoved = ids.join() !== shown.join()
    const isRead =
      target.contains(document.activeElement) || target.getBoundingClientRect().top < -80
    takesList = isMoved && (!isRead || shown.length === 0)
    tellNewer(isMoved && !takesList, ids.filter((id) => !shown.includes(id)).length)
    if (takesList) for (const id of ids) if (!shown.includes(id)) changedRows.add(id)
  }
  const taken = parts.filter((part) => {
    if (part === list) return takesList
    const element = document.getElementById(part[1])
    if (element === null || (takesList && target.contains(element))) return false
    if (element.tagName === 'TR') changedRows.add(part[1])
    return true
  })
  return taken.map(([text]) => text).join('')
}

function tellNewer(isWaiting, newCount) {
  const pill = document.querySelector('#newer')
  if (pill === null) return
  pill.hidden = !isWaiting
  if (!isWaiting) return
  const what =
    newCount === 0
      ? 'The order has changed'
      : `${newCount} new ${newCount === 1 ? 'study' : 'studies'}`
  pill.textContent = `${what}: show`
}

document.querySelector('#newer')?.addEventListener('click', (event) => {
  event.preventDefault()
  event.target.hidden = true
  htmx
    .ajax('GET', location.href, { target: '#list', select: '#list', swap: 'outerMorph' })
    .then(() => document.querySelector('#list tbody a')?.focus())
})

function freshen(row) {
  if (row === null) return
  row.dataset.fresh = ''
  setTimeout(() => delete row.dataset.fresh, 1200)
}

function announce() {
  if (changedRows.size === 0 || Date.now() - announcedAt < announceEveryMs) {
    if (changedRows.size > 500) changedRows = new Set()
    return
  }
  announcedAt = Date.now()
  const region = document.querySelector('#announce')
  if (region)
    region.textContent = `${changedRows.size} ${changedRows.size === 1 ? 'row' : 'rows'} updated`
  changedRows = new Set()
}
