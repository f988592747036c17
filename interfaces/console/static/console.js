"use strict";
const time = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const each of document.querySelectorAll("time")) each.textContent = time.format(new Date(each.dateTime));
const number = new Intl.NumberFormat();
for (const each of document.querySelectorAll("data")) each.textContent = number.format(Number(each.value));
