// What is typed into a form with data-keep survives a reload, a sign-in and an answer that never came:
// it stays in this tab alone (sessionStorage) until the form is sent with success, or the person signs out.
// What it was typed on top of (data-kept) stays with it, so that what others change meanwhile is noticed.
(() => {
  'use strict'
  const place = (form) => 'typed ' + document.body.dataset.who + ' ' + location.pathname + ' ' + form.dataset.keep
  const secret = (field) => field.type === 'password' || field.type === 'file' || (field.type === 'hidden' && !field.hasAttribute('data-kept'))

  const write = (form) => {
    const typed = {}
    for (const field of form.elements) {
      if (!field.name || secret(field)) continue
      if (field.type === 'checkbox' || field.type === 'radio') (typed[field.name] ||= []).push(field.checked)
      else (typed[field.name] ||= []).push(field.value)
    }
    try { sessionStorage.setItem(place(form), JSON.stringify(typed)) } catch { /* full: the form still works */ }
  }

  const read = (form) => {
    let typed
    try { typed = JSON.parse(sessionStorage.getItem(place(form))) } catch { return }
    // The server's own answer to what was sent knows better.
    if (!typed || form.hasAttribute('data-answered')) return
    const count = {}
    let changed = false
    for (const field of form.elements) {
      if (!field.name || secret(field)) continue
      const value = typed[field.name]?.[count[field.name] = (count[field.name] ?? -1) + 1]
      if (value === undefined) continue
      if (typeof value === 'boolean') { changed ||= field.checked !== value; field.checked = value }
      else { changed ||= field.value !== value; field.value = value }
    }
    if (changed) {
      form.dispatchEvent(new Event('restored', { bubbles: true }))
      const line = document.createElement('p')
      line.className = 'notice'
      line.setAttribute('role', 'status')
      line.append('What you typed before is here again. ')
      const forget = document.createElement('button')
      forget.type = 'button'
      forget.className = 'quiet'
      forget.textContent = 'Begin afresh'
      forget.onclick = () => { sessionStorage.removeItem(place(form)); location.reload() }
      line.append(forget)
      form.prepend(line)
    }
  }

  const all = () => document.querySelectorAll('form[data-keep]')
  document.addEventListener('input', (event) => { const form = event.target.closest?.('form[data-keep]'); if (form) write(form) })
  document.addEventListener('change', (event) => { const form = event.target.closest?.('form[data-keep]'); if (form) write(form) })
  // A page that says what was done names the forms that need not be kept any more.
  for (const done of document.querySelectorAll('[data-kept-done]'))
    for (const key of Object.keys(sessionStorage)) if (key.startsWith('typed ') && key.endsWith(' ' + done.dataset.keptDone)) sessionStorage.removeItem(key)
  all().forEach(read)
})()
