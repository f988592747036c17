"use strict";
// The parts of a page that have an id are taken anew from the same address whenever its stream says so; those in which
// somebody types stay as they are.
const PARTS = ["head", "picture", "steps", "facts", "orders", "events"];
let waiting = 0;

async function refresh() {
  waiting = 0;
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
  if (!answer.ok) return answer.status < 500 && lose();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of PARTS) {
    const [old, next] = [document.getElementById(id), fresh.getElementById(id)];
    if (!old || !next || isInUse(old)) continue;
    for (const open of old.querySelectorAll("details[open]")) fresh.getElementById(open.id)?.setAttribute("open", "");
    const focused = old.contains(document.activeElement) && document.activeElement.closest("details")?.id;
    old.replaceWith(document.adoptNode(next));
    if (focused) document.querySelector(`#${CSS.escape(focused)} > summary`)?.focus();
  }
  dress(document);
}

function isInUse(part) {
  const active = document.activeElement;
  return part.contains(active) && active.matches("input, textarea, select")
    || [...part.querySelectorAll("input:not([type=hidden]), textarea")].some((field) => field.value !== field.defaultValue);
}

function lose() { document.getElementById("offline").hidden = false; }

const stream = new EventSource(document.querySelector("[data-live]").dataset.live);
stream.onmessage = () => { waiting ||= setTimeout(() => refresh().catch(() => {}), 250); };
stream.onopen = () => { document.getElementById("offline").hidden = true; };
stream.addEventListener("end", () => { stream.close(); refresh().catch(lose); });
stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) refresh().catch(lose); };
