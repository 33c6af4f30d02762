// Keeps the live part of a page fresh: every 30 seconds, every 2 while something is changing, never in a hidden tab.
const CALM = 30_000;
const CHANGING = 2_000;
const SLOWEST = 30_000;

const connection = document.getElementById("connection");
const announcer = document.getElementById("announcer");
const updated = document.querySelector("[data-updated]");

let timer;
let failures = 0;
let updatedAt = Date.now();
let statuses = readStatuses();

function live() {
  return document.getElementById("live");
}

function readStatuses() {
  const badges = [...document.querySelectorAll("#live [data-status-of]")];
  return new Map(badges.map((badge) => [badge.id, { name: badge.dataset.statusOf, status: badge.textContent.trim() }]));
}

function refresh() {
  clearTimeout(timer);
  if (!document.hidden && live()) htmx.trigger(live(), "refresh");
}

function schedule() {
  clearTimeout(timer);
  const usual = live()?.dataset.changing === "1" ? CHANGING : CALM;
  const pause = failures ? Math.min(CHANGING * 2 ** (failures - 1), SLOWEST) : usual;
  if (!document.hidden) timer = setTimeout(refresh, pause);
}

function sayHowOld() {
  if (!updated) return;
  const seconds = Math.round((Date.now() - updatedAt) / 1000);
  updated.textContent = seconds < 2 ? "Updated just now" : seconds < 120 ? `Updated ${seconds} s ago`
    : `Updated ${Math.round(seconds / 60)} min ago`;
}

function announceChanges() {
  const now = readStatuses();
  const news = [...now].filter(([id, seen]) => statuses.has(id) && statuses.get(id).status !== seen.status)
    .map(([, seen]) => `${seen.name}: ${seen.status}.`);
  statuses = now;
  if (news.length) announcer.textContent = news.join(" ");
}

function lost(text, link, leadsTo = "/") {
  failures += 1;
  connection.textContent = text;
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = leadsTo;
    anchor.textContent = link;
    connection.append(" ", anchor);
  }
  connection.hidden = false;
}

function isRefresh(event) {
  return event.detail.elt === live();
}

document.addEventListener("htmx:afterRequest", (event) => {
  if (!isRefresh(event) && event.target !== live()) return;
  const status = event.detail.xhr?.status ?? 0;
  if (event.detail.successful) {
    failures = 0;
    connection.hidden = true;
    updatedAt = Date.now();
    sayHowOld();
  } else if (status === 401 || status === 429) {
    // To look at something is too much only for those who fail to sign in too often.
    lost("You are signed out, so this page is no longer fresh.", "Sign in again");
  } else if (status === 404) {
    lost("This bot was deleted.", "Back to Dashboard", "/dashboard");
    clearTimeout(timer);
    return;
  } else if (status >= 500 || status === 0) {
    lost("The server does not answer. What you see may be old; trying again…");
  }
  schedule();
});
let hadFocus = false;
document.addEventListener("htmx:beforeSwap", () => { hadFocus = document.activeElement !== document.body; });
document.addEventListener("htmx:afterSwap", () => {
  announceChanges();
  // Where what had the focus is gone, a keyboard goes on at the content, not at the beginning of the page.
  if (hadFocus && document.activeElement === document.body) document.getElementById("content").focus({ preventScroll: true });
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
window.addEventListener("online", refresh);
window.addEventListener("pageshow", (event) => event.persisted && refresh());

setInterval(sayHowOld, 1000);
sayHowOld();
schedule();
