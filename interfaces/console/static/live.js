"use strict";
// The parts of a page are taken anew from the same address whenever its stream says so, or every few seconds; those in
// which somebody types stay as they are, and so does a form that was refused.
let waiting = 0, silent = 0;

async function refresh() {
  waiting = 0;
  const answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
  if (answer.status >= 500) throw new Error("not now");
  if (!answer.ok) return lose();
  regain();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const next of fresh.querySelectorAll("[data-part]")) {
    const old = document.getElementById(next.id);
    if (!old || old === next || isInUse(old)) continue;
    for (const each of old.querySelectorAll("details")) fresh.getElementById(each.id)?.toggleAttribute("open", each.open);
    const focused = old.contains(document.activeElement) && document.activeElement.closest("details")?.id;
    old.replaceWith(document.adoptNode(next));
    if (focused) document.querySelector(`#${CSS.escape(focused)} > summary`)?.focus();
  }
  dress(document);
}

// What the stream has told once it does not tell again, so this does not give up; the page is as good as away meanwhile.
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

function follow(address) {
  const stream = new EventSource(address);
  stream.onmessage = () => refreshSoon();
  stream.onopen = regain;
  stream.addEventListener("end", () => { stream.close(); refreshSoon(0); });
  stream.onerror = () => {
    if (stream.readyState !== EventSource.CLOSED) { // the browser tries again by itself, in 3 s as a rule
      silent ||= setTimeout(lose, 5000);
      return;
    }
    lose();
    setTimeout(() => follow(address), 5000);
  };
}

async function lookAgain() {
  const seconds = document.querySelector("[data-poll]")?.dataset.poll;
  if (!seconds) return;
  await new Promise((done) => setTimeout(done, 1000 * seconds));
  await refresh().catch(lose);
  lookAgain();
}

const live = document.querySelector("[data-live]");
if (live) follow(live.dataset.live); else lookAgain();
