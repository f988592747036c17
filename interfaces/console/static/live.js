"use strict";
// Reloads the parts of a page from its address whenever its stream has an event, or every few seconds. A part stays as it is if
// the user is typing in it, if it shows a form that was refused, or if it has not changed. A hidden page requests nothing: over
// HTTP/1.1 a browser has only six connections to a service.
const PARTS = "[data-part]", NAMES = [["id"], ["href"], ["name", "value"], ["aria-label"]];
const live = document.querySelector("[data-live]"), polled = document.querySelector("[data-poll]");
let stream = null, waiting = 0, silent = 0, isPressed = false;

// Each part as the service has sent it, before scripts change it, without the keys of its forms, which are always new, and
// without the parts within it, which are compared by themselves.
const sent = new Map();

function sentOf(part) {
  const copy = part.cloneNode(true);
  for (const each of copy.querySelectorAll(PARTS)) each.replaceWith(each.id);
  for (const each of copy.querySelectorAll("[name=key]")) each.removeAttribute("value");
  return copy.outerHTML;
}

async function refresh() {
  waiting = 0;
  if (document.hidden) return;
  if (isPressed) return refreshSoon();
  const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
  if (answer.status >= 500) throw new Error("not now");
  if (!answer.ok) return lose();
  regain();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (isPressed) return refreshSoon();
  for (const next of fresh.querySelectorAll(PARTS)) {
    const old = document.getElementById(next.id);
    if (old && old !== next && sentOf(next) !== sent.get(next.id) && !isInUse(old)) replace(old, next, fresh);
  }
}

function replace(old, next, fresh) {
  for (const part of [next, ...next.querySelectorAll(PARTS)]) sent.set(part.id, sentOf(part));
  for (const each of [old, ...old.querySelectorAll("details")]) if (each.matches("details")) fresh.getElementById(each.id)?.toggleAttribute("open", each.open);
  const successor = old.contains(document.activeElement) ? successorOf(document.activeElement, old, next) : null;
  old.replaceWith(document.adoptNode(next));
  dress(next);
  successor?.focus({ preventScroll: true });
}

// Returns the element that has the same name as the focused one, and of several the one at the same place. A summary has the
// name of its details.
function successorOf(focused, old, next) {
  const named = focused.matches("summary") ? focused.parentElement : focused;
  const names = NAMES.find(([first]) => named.hasAttribute(first));
  if (!names) return null;
  const selector = names.filter((name) => named.hasAttribute(name)).map((name) => `[${name}="${CSS.escape(named.getAttribute(name))}"]`).join("");
  const [before, after] = [old, next].map((part) => [part, ...part.querySelectorAll("*")].filter((each) => each.matches(selector)));
  const found = after[before.indexOf(named)];
  return named === focused ? found : found?.querySelector("summary");
}

// Retries until the page is reloaded, because the stream sends each event only once. Meanwhile the page is shown as offline.
function refreshSoon(after = 250) {
  waiting ||= setTimeout(() => refresh().catch(() => { lose(); refreshSoon(2000); }), after);
}

function isInUse(part) {
  const active = document.activeElement;
  return part.contains(active) && active.matches("input, textarea, select")
    || part.querySelector("[data-refused]") !== null
    || [...part.querySelectorAll("input:not([type=hidden]), textarea")].some((field) => field.value !== field.defaultValue)
    || [...part.querySelectorAll("select")].some((field) => field.selectedIndex !== Math.max(0, [...field.options].findIndex((each) => each.defaultSelected)));
}

function lose() { document.getElementById("offline").hidden = false; }

function regain() {
  silent = clearTimeout(silent);
  document.getElementById("offline").hidden = true;
}

function follow() {
  if (stream || document.hidden) return;
  const own = stream = new EventSource(live.dataset.live);
  own.onmessage = () => refreshSoon();
  own.onopen = regain;
  own.addEventListener("end", () => { rest(); refreshSoon(0); });
  own.onerror = () => {
    if (own.readyState !== EventSource.CLOSED) { // the browser reconnects by itself, usually after 3 s
      silent ||= setTimeout(lose, 5000);
      return;
    }
    rest();
    lose();
    setTimeout(follow, 5000);
  };
}

function rest() {
  stream?.close();
  stream = null;
  silent = clearTimeout(silent);
}

async function lookAgain() {
  const seconds = document.querySelector("[data-poll]")?.dataset.poll;
  if (!seconds) return;
  await new Promise((done) => setTimeout(done, 1000 * seconds));
  await refresh().catch(lose);
  lookAgain();
}

for (const part of document.querySelectorAll(PARTS)) sent.set(part.id, sentOf(part));

for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
  document.addEventListener(kind, (event) => { isPressed = event.buttons > 0; }, { capture: true, passive: true });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return rest();
  if (live || polled) refreshSoon(0);
  if (live) follow();
});

if (live) follow(); else lookAgain();
