// Looks at a bot that comes up more often than live.js would, goes on when it runs, and keeps the focus.
const OFTEN = 1_000;
const SEEN = 800;

let timer;
let leaving = false;

function live() {
  return document.getElementById("live");
}

function lookAgain() {
  clearTimeout(timer);
  if (live()?.dataset.changing !== "1") return;
  timer = setTimeout(() => document.hidden || htmx.trigger(live(), "refresh"), OFTEN);
}

function goOn() {
  const target = live()?.dataset.leadsTo;
  if (!target || leaving) return;
  leaving = true;
  // Long enough to see the last step done; this page is replaced, so that "back" does not lead here and on again.
  setTimeout(() => location.replace(target), SEEN);
}

document.addEventListener("htmx:afterSettle", () => {
  goOn();
  lookAgain();
});

// The button that was pressed goes away, or was disabled meanwhile; either way it has lost the focus.
document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.detail.elt;
  if (form.localName !== "form") return;
  const next = event.detail.successful ? document.getElementById("title") : form.querySelector("button[type=submit]");
  next?.focus();
});

lookAgain();
