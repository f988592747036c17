"use strict";
// The slider shows each version as it passes, and the address is that of the one on which it rests. Where one cannot be had,
// since somebody is signed in no longer or the service is away, the page says that it shows another.
const slider = document.querySelector("input[type=range]"), notShown = document.getElementById("not-shown");
let wanted = "";

async function pageOf(address) {
  try {
    const answer = await fetch(location.pathname + address, { headers: { Accept: "text/html" } });
    return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  } catch { return null; }
}

async function show() {
  const address = wanted = `?version=${slider.value}`;
  const page = await pageOf(address);
  if (address !== wanted) return;
  notShown.hidden = page !== null;
  notShown.querySelector("a").href = address;
  if (!page) return;
  const fresh = page.getElementById("then");
  document.getElementById("then").replaceWith(document.adoptNode(fresh));
  dress(fresh);
  for (const each of document.querySelectorAll(".timeline > li")) {
    if (each.value === Number(slider.value)) each.setAttribute("aria-current", "true"); else each.removeAttribute("aria-current");
  }
  history.replaceState(null, "", address);
}

// Somebody may have moved it before this was loaded. A slider has no place for version 0, of before it all, and stands at 1 then.
document.addEventListener("DOMContentLoaded", () => {
  slider?.addEventListener("input", show);
  if (slider && slider.valueAsNumber !== Math.max(slider.min, slider.defaultValue)) show();
});
