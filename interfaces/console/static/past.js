"use strict";
// The slider shows each version as it passes, and the address is that of the one on which it rests.
const slider = document.querySelector("input[type=range]");
let wanted = "";

slider?.addEventListener("input", async () => {
  const address = wanted = `?version=${slider.value}`;
  const answer = await fetch(location.pathname + address, { headers: { Accept: "text/html" } });
  const text = await answer.text();
  if (!answer.ok || address !== wanted) return;
  const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("then");
  document.getElementById("then").replaceWith(document.adoptNode(fresh));
  dress(fresh);
  for (const each of document.querySelectorAll(".timeline > li")) {
    if (each.value === Number(slider.value)) each.setAttribute("aria-current", "true"); else each.removeAttribute("aria-current");
  }
  history.replaceState(null, "", address);
});
