"use strict";
const time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const whole = new Intl.NumberFormat(), broken = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

// Formats times and numbers for the reader, scrolls calendars to today, and requires the fields that a form's button needs.
function dress(part) {
  for (const each of part.querySelectorAll("time")) each.textContent = time.format(new Date(each.dateTime));
  for (const each of part.querySelectorAll("data")) {
    const sum = Number(each.value);
    each.textContent = (Number.isInteger(sum) ? whole : broken).format(sum);
  }
  for (const now of part.querySelectorAll(".strip .now")) now.closest(".drawn").scrollLeft = now.getBBox().x - now.closest(".drawn").clientWidth / 2;
  for (const button of part.querySelectorAll("button[name=do]")) button.onclick = () => {
    const needs = (button.dataset.needs ?? "").split(" ");
    for (const field of button.form.querySelectorAll("input:not([type=hidden], [type=checkbox])")) field.required = needs.includes(field.name);
  };
}

dress(document);
