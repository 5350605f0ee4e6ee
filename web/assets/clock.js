// Draws what depends on the time of day: countdowns (`data-until`) and ages (`data-ago`), by the clock of the server.
const serverNow = Date.parse(document.querySelector('meta[name="server-now"]')?.content ?? '')
const aheadMs = Number.isNaN(serverNow) ? 0 : serverNow - Date.now()

document.addEventListener('htmx:sse:after:message', draw)
document.addEventListener('htmx:after:swap', draw)
setInterval(draw, 1000)
draw()

function draw() {
  const now = Date.now() + aheadMs
  for (const time of document.querySelectorAll('time[data-until]')) {
    write(time, countdown((Date.parse(time.dateTime) - now) / 1000))
  }
  for (const time of document.querySelectorAll('time[data-ago]')) {
    if (time.title === '') time.title = `${time.textContent} UTC`
    write(time, age((now - Date.parse(time.dateTime)) / 1000))
  }
}

function write(time, text) {
  if (time.textContent !== text) time.textContent = text
}

function countdown(seconds) {
  if (seconds <= 0) return 'any moment'
  const whole = Math.ceil(seconds)
  const clock = `${Math.floor((whole % 3600) / 60)}:${String(whole % 60).padStart(2, '0')}`
  return whole < 3600 ? `in ${clock}` : `in ${Math.floor(whole / 3600)}:${clock.padStart(5, '0')}`
}

function age(seconds) {
  if (seconds < 5) return 'just now'
  if (seconds < 60) return `${Math.floor(seconds / 5) * 5} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`
  return `${Math.floor(seconds / 86_400)} d ago`
}
