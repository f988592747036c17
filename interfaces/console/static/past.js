"use strict";
// Shows the version at which the slider is, and puts it in the address. If the version cannot be loaded, because the session has
// ended or the service is unavailable, the page says that it shows another one.
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

// The user may have moved the slider before this script was loaded. For version 0 (nothing exists yet) the slider is at 1.
document.addEventListener("DOMContentLoaded", () => {
  slider?.addEventListener("input", show);
  if (slider && slider.valueAsNumber !== Math.max(slider.min, slider.defaultValue)) show();
});
