"use strict";
const time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const each of document.querySelectorAll("time")) each.textContent = time.format(new Date(each.dateTime));
const whole = new Intl.NumberFormat(), broken = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
for (const each of document.querySelectorAll("data")) {
  const sum = Number(each.value);
  each.textContent = (Number.isInteger(sum) ? whole : broken).format(sum);
}
for (const button of document.querySelectorAll("button[name=do]")) button.addEventListener("click", () => {
  const needs = (button.dataset.needs ?? "").split(" ");
  for (const field of button.form.querySelectorAll("input:not([type=hidden], [type=checkbox])")) field.required = needs.includes(field.name);
});
