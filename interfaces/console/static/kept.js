"use strict";
// Keeps what the user has typed if the session ends, in this tab only. A form is kept when it is sent, or when the user leaves
// it with changes, and is deleted once the next page is neither the sign-in page nor an error. It is also deleted when the user
// signs out, or another user signs in. The form's idempotency key is kept, so that a command that was processed is not repeated,
// and so are the hashes of the values that the form had shown.
const KEPT = "orchestrator.form", KEY = 53; // characters: for whom the page was made, a full stop, a UUID
const who = document.body.dataset.who, isUndone = document.body.hasAttribute("data-undone");

function keep(form, how = {}) {
  const fields = fieldsOf(form).map(({ name, value, checked }) => ({ name, value, checked }));
  const { pathname, search } = new URL(form.action);
  write({ who, at: pathname + search, form: nameOf(form), fields, ...how });
}

function write(kept) {
  try {
    if (kept) sessionStorage.setItem(KEPT, JSON.stringify(kept)); else sessionStorage.removeItem(KEPT);
  } catch { /* Without a store, or if it is full, nothing is kept, and no page claims that it was. */ }
}

function read() {
  try { return JSON.parse(sessionStorage.getItem(KEPT)); } catch { return null; }
}

function fieldsOf(form) {
  return [...form.elements].filter((each) => each.name && (each.type !== "hidden" || ["key", "seen"].includes(each.name)) && !["password", "submit"].includes(each.type));
}

function nameOf(form) { return form.elements.key.value.slice(KEY); }

function isChanged(field) {
  return field.type === "checkbox" ? field.checked !== field.defaultChecked : field.type !== "hidden" && "defaultValue" in field && field.value !== field.defaultValue;
}

function bringBack({ form: name, fields }) {
  const form = [...document.forms].find((each) => each.elements.key && nameOf(each) === name);
  if (!form) return;
  for (const each of fieldsOf(form)) {
    const old = fields.find((field) => field.name === each.name && (each.type !== "checkbox" || field.value === each.value));
    if (old) Object.assign(each, each.type === "checkbox" ? { checked: old.checked } : { value: old.value });
    if (isChanged(each)) for (let part = each.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  }
  const told = document.createElement("p");
  Object.assign(told, { className: "notice", role: "status", textContent: "What you typed has been restored. Check it, and send it again." });
  form.querySelector("label, .actions, table").before(told);
  told.scrollIntoView({ block: "center" });
}

document.addEventListener("submit", ({ target: form }) => {
  if (form.action.endsWith("/sign-out")) write(null);
  else if (form.elements.key) keep(form);
});

document.querySelector("#offline a")?.addEventListener("click", () => {
  const form = [...document.forms].find((each) => each.elements.key && fieldsOf(each).some(isChanged));
  if (form) keep(form, { isUndone: true });
});

const kept = read();
if (kept && who && who !== kept.who) write(null);
else if (kept && isUndone) {
  write({ ...kept, isUndone });
  document.getElementById("kept")?.removeAttribute("hidden");
} else if (kept && !kept.isUndone) write(null);
else if (kept && who && kept.at === location.pathname + location.search) {
  write(null);
  bringBack(kept);
}
