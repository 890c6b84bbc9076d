// The page without reloads: asks for what changed, counts times on, and asks before what cannot be
// taken back. Everything works without it but the slices.
"use strict";

const UNITS = [["d", 86400], ["h", 3600], ["min", 60]];

// As node/page/words.py: duration.
function duration(seconds) {
  seconds = Math.max(seconds, 0);
  for (const [unit, size] of UNITS) {
    if (seconds >= 2 * size) return `${Math.round(seconds / size)} ${unit}`;
  }
  return seconds < 10 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}

// The server's clock is the one that counts: this machine's may be wrong.
let ahead = 0;
function takeClock(part) {
  const marked = part.querySelector("[data-now]");
  if (marked) ahead = Date.parse(marked.dataset.now) - Date.now();
}

function countOn() {
  const now = Date.now() + ahead;
  for (const each of document.querySelectorAll("[data-since]")) {
    const text = duration(Math.floor((now - Date.parse(each.dataset.since)) / 1000));
    if (each.textContent !== text) each.textContent = text;
  }
}

// Somebody who chooses from a list, or has the keyboard within the part, is not disturbed.
function isInUse(part) {
  const active = document.activeElement;
  return part.contains(active) && active.matches("select, input:not([type=hidden])");
}

function replace(part, html) {
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const scrolled = [...part.querySelectorAll(".table")].map((each) => each.scrollLeft);
  part.innerHTML = html;
  [...part.querySelectorAll(".table")].forEach((each, i) => (each.scrollLeft = scrolled[i] || 0));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  takeClock(part);
  countOn();
}

function watch(part) {
  const every = Number(part.dataset.every);
  const lost = document.getElementById("lost");
  let tag = "", failures = 0, timer = 0;

  async function look() {
    clearTimeout(timer);
    if (document.hidden) return; // it looks again when it is shown
    try {
      if (!isInUse(part)) {
        const headers = tag ? { "If-None-Match": tag } : {};
        const answer = await fetch(part.dataset.live, { headers, cache: "no-store" });
        if (answer.status === 401) return location.assign("/sign-in");
        if (answer.status !== 304) {
          if (!answer.ok) throw new Error(String(answer.status));
          tag = answer.headers.get("ETag") || "";
          replace(part, await answer.text());
        }
      }
      failures = 0;
    } catch {
      failures += 1;
    }
    lost.hidden = failures < 2;
    part.classList.toggle("old", failures >= 2);
    timer = setTimeout(look, every * Math.min(2 ** failures, 16));
  }

  document.addEventListener("visibilitychange", look);
  timer = setTimeout(look, every);
}

async function loadOnce(part) {
  try {
    const answer = await fetch(part.dataset.once);
    if (!answer.ok) throw new Error(String(answer.status));
    part.innerHTML = await answer.text();
  } catch {
    part.textContent = "They could not be drawn.";
  }
}

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form && "submitOnChange" in form.dataset) form.requestSubmit();
});

document.documentElement.classList.add("js");
takeClock(document);
setInterval(countOn, 1000);
for (const part of document.querySelectorAll("[data-live]")) watch(part);
for (const part of document.querySelectorAll("[data-once]")) loadOnce(part);
