// Open pages stay true: rows that change are put in their place, and what is in the way is said.
(() => {
  'use strict'
  let source = null, stream = '', over = false, ended = false, patience = 3000, later = 0
  const health = document.getElementById('health'), GONE = ' has been deleted. This is how it was last seen.'

  const say = (text) => {
    if (health.dataset.text === text) return
    health.dataset.text = text
    health.replaceChildren()
    if (!text) return
    const line = document.createElement('p')
    line.className = 'notice warning'
    line.textContent = text
    health.append(line)
  }

  // Has a part of the page come anew, where the page has it.
  const ask = (id, event) => { const part = document.getElementById(id); if (part) window.htmx.trigger(part, event) }

  const row = (html) => {
    const template = document.createElement('template')
    template.innerHTML = html
    return template.content.querySelector('tr')
  }

  // A new row takes over what the person had chosen in the old one, and the place they were at.
  const put = (name, html) => {
    const fresh = row(html), old = document.getElementById('t-' + name)
    if (!fresh) return null
    // A stream begins with the whole list: what the page has already stays as it is.
    if (old?.dataset.seen === fresh.dataset.seen) return old
    if (old) {
      const chosen = old.querySelector('input')?.checked, at = old.contains(document.activeElement)
        ? [...old.querySelectorAll('a, input')].indexOf(document.activeElement) : -1
      if (chosen) fresh.querySelector('input').checked = true
      old.replaceWith(fresh)
      if (at >= 0) fresh.querySelectorAll('a, input')[at]?.focus()
      fresh.classList.add('changed')
    }
    return fresh
  }

  const told = {
    rows: (rows) => Object.entries(rows).forEach(([name, html]) => put(name, html)),
    list: (list) => {
      const body = document.getElementById('rows')
      if (!body) return
      const drawn = {}
      for (const [name, html] of Object.entries(list.rows)) drawn[name] = put(name, html)
      for (const old of [...body.children]) if (!list.order.includes(old.dataset.name)) old.remove()
      list.order.forEach((name, place) => {
        const here = document.getElementById('t-' + name) || drawn[name]
        if (here && body.children[place] !== here) body.insertBefore(here, body.children[place] || null)
      })
      const total = document.getElementById('total')
      if (total) total.textContent = list.summary
      document.querySelector('#list .empty')?.remove()
    },
    health: (problem) => {
      const before = health.dataset.text
      say(problem ? problem + ' What is shown may be out of date; it is tried again.' : '')
      if (before && !problem) ask('live', 'changed')
    },
    changed: () => {
      // Another one has got the name.
      if (health.dataset.text?.endsWith(GONE)) say('')
      ask('live', 'changed')
    },
    gone: (name) => say(name + GONE),
    forbidden: () => { over = true; close(); say('You may not see this any more: ask for the role guestpost-viewer.') },
  }

  function close() { source?.close(); source = null; stream = '' }

  // The answer was no stream: the session has ended, or something between has its own words.
  async function lost() {
    close()
    const answer = await fetch('/session', { headers: { 'X-Background': '1' } }).catch(() => null)
    if (answer?.status === 401) {
      over = ended = true
      say('Your sign-in has ended. Reload the page to sign in again; what you typed is kept.')
    } else {
      setTimeout(open, patience)
      patience = Math.min(patience * 2, 60000)
    }
  }

  // Who has signed in again in another tab finds this one as it was, of the new session.
  async function back() {
    if (!ended || document.hidden) return
    const answer = await fetch('/session', { headers: { 'X-Background': '1' } }).catch(() => null)
    if (answer?.ok) location.reload()
  }

  function open() {
    const wanted = document.querySelector('[data-stream]')?.dataset.stream || ''
    if (over || document.hidden) return close()
    if (wanted === stream) return
    close()
    if (!wanted) return
    stream = wanted
    source = new EventSource(wanted)
    for (const [name, act] of Object.entries(told)) source.addEventListener(name, (event) => act(JSON.parse(event.data)))
    let failed = false
    source.onopen = () => { patience = 3000; if (failed) { failed = false; say(''); ask('live', 'changed') } }
    source.onerror = () => {
      failed = true
      say('The connection to the dashboard is interrupted. What is shown may be out of date; it is tried again.')
      // A browser gives up by itself when the answer is no stream, such as of a gateway.
      if (source?.readyState === EventSource.CLOSED) lost()
    }
  }

  window.addEventListener('focus', back)
  document.addEventListener('visibilitychange', () => {
    open()
    back()
    if (!document.hidden) ask('live', 'visible')
  })
  // What was opened stays open when a part of the page comes anew: at once, for the next one may come before this settles.
  let opened = []
  document.addEventListener('htmx:beforeSwap', (event) => {
    opened = [...event.detail.target.querySelectorAll('details[open][id]')].map((each) => each.id)
  })
  document.addEventListener('htmx:afterSwap', () => {
    for (const id of opened) document.getElementById(id)?.setAttribute('open', '')
    opened = []
  })
  document.addEventListener('htmx:afterSettle', open)
  document.addEventListener('htmx:sendError', () => say('The dashboard does not answer. What you typed is kept; try again.'))
  document.addEventListener('htmx:timeout', () => say('The dashboard does not answer in time. What you typed is kept; try again.'))
  // What is said of a failure goes when the same thing works, and not because another does.
  let troubled = null
  document.addEventListener('htmx:afterRequest', (event) => {
    const who = event.detail.elt.id || event.detail.elt
    if (!event.detail.successful) { troubled = who; return }
    if (health.dataset.text?.startsWith('The dashboard does not')) say('')
    if (troubled !== who) return
    troubled = null
    document.getElementById('notices')?.replaceChildren()
  })
  // A form that nobody answered is checked again by itself, which keeps no session alive.
  document.addEventListener('htmx:afterRequest', (event) => {
    const form = event.detail.elt
    if (!form.matches('form.made')) return
    clearTimeout(later)
    later = setTimeout(() => {
      const waits = document.querySelector('#general [data-again]') || health.dataset.text?.startsWith('The dashboard does not')
      if (waits && document.contains(form)) window.htmx.trigger(form, 'again')
    }, 5000)
  })
  document.addEventListener('htmx:configRequest', (event) => {
    if (event.detail.triggeringEvent?.type === 'again') event.detail.headers['X-Background'] = '1'
  })
  // Only one menu is open, and a click elsewhere closes it.
  document.addEventListener('click', (event) => {
    for (const menu of document.querySelectorAll('details.menu[open]')) if (!menu.contains(event.target)) menu.open = false
  })
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return
    for (const menu of document.querySelectorAll('details.menu[open]')) { menu.open = false; menu.querySelector('summary').focus() }
  })

  const ages = () => {
    for (const time of document.querySelectorAll('time[data-age]')) {
      const passed = Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000)
      const [size, unit] = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']].find(([each]) => passed >= each) || [1, 's']
      time.textContent = Math.floor(passed / size) + ' ' + unit
    }
  }
  setInterval(ages, 30000)
  setInterval(() => { if (!document.hidden && !over) ask('figures', 'again') }, 20000)
  open()
})()
