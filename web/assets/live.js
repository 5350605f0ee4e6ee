// Says whether the page is live. The stream and its reconnecting are hx-sse's; this only tells of it.
document.addEventListener('htmx:sse:after:connection', () => tell('on', 'Live'))
document.addEventListener('htmx:sse:before:connection', () => tell('off', 'Not live: connecting'))
document.addEventListener('htmx:sse:error', () => tell('off', 'Not live: trying again'))
document.addEventListener('htmx:sse:close', () => tell('off', 'Not live: reload the page'))

function tell(live, text) {
  const state = document.querySelector('#live-state')
  if (state === null || state.textContent === text) return
  state.dataset.live = live
  state.textContent = text
}
