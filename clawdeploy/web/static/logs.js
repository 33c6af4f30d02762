// Shows what a bot writes, as it writes it. Whatever it writes is text to us: never markup, and bounded.
const MOST_LINES = 5_000;
const LONGEST_LINE = 4_000;
const EVERY = 2_000;
const SLOWEST = 30_000;

const section = document.querySelector("[data-logs]");
const view = section.querySelector("[data-logs-view]");
const state = section.querySelector("[data-logs-state]");
const search = section.querySelector("input[type=search]");
const pauseButton = section.querySelector("[data-logs-pause]");
const wrapButton = section.querySelector("[data-logs-wrap]");
const copyButton = section.querySelector("[data-logs-copy]");
const latestButton = section.querySelector("[data-logs-latest]");

// Escape sequences that colour a terminal, set its title or move its cursor, and other characters nobody sees.
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])?/g;
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

let lines = [];
let unfinished = false;
let paused = false;
let failures = 0;
let timer;
let underWay = false;

function printable(line) {
  const clean = line.slice(0, LONGEST_LINE * 4).replace(ESCAPES, "").replace(UNSEEN, "\ufffd");
  const cut = clean.length > LONGEST_LINE || line.length > LONGEST_LINE * 4;
  return cut ? `${clean.slice(0, LONGEST_LINE)}… (a line of ${line.length} characters; the download has all of it)` : clean;
}

// How many of the new lines are the last ones of those that are there already.
function overlap(old, fresh) {
  for (let count = Math.min(old.length, fresh.length); count > 0; count -= 1) {
    const from = old.length - count;
    let same = 0;
    while (same < count && old[from + same] === fresh[same]) same += 1;
    if (same === count) return count;
  }
  return 0;
}

function matches(element) {
  return element.textContent.toLowerCase().includes(search.value.toLowerCase());
}

function append(added) {
  const fragment = document.createDocumentFragment();
  for (const line of added) {
    const element = document.createElement("div");
    element.className = "line";
    element.textContent = printable(line);
    element.hidden = !matches(element);
    fragment.append(element);
  }
  view.append(fragment);
  while (view.childElementCount > MOST_LINES) view.firstElementChild.remove();
}

function atEnd() {
  return view.scrollHeight - view.scrollTop - view.clientHeight < 24;
}

function take(text) {
  const follows = atEnd();
  const fresh = text.split("\n");
  const last = fresh.pop();
  // The line that is being written is shown, and compared with nothing until it is whole.
  if (unfinished) {
    lines.pop();
    view.lastElementChild?.remove();
  }
  const known = overlap(lines, fresh);
  if (!known && lines.length && fresh.length) append(["… (lines in between were not seen here; the download has them)"]);
  const added = fresh.slice(known);
  unfinished = last !== "";
  if (unfinished) added.push(last);
  lines = lines.concat(added).slice(-MOST_LINES);
  append(added);
  if (follows) view.scrollTop = view.scrollHeight;
  latestButton.hidden = atEnd();
}

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

function sayHowMany() {
  const all = view.childElementCount;
  const seen = view.querySelectorAll(".line:not([hidden])").length;
  const kind = all === 1 ? "line" : "lines";
  if (!all) say("Nothing was written yet. New lines appear here by themselves.");
  else if (search.value) say(`${seen} of ${all} ${kind}`);
  else say(paused ? `${all} ${kind}, paused` : `${all} ${kind}, following`);
}

async function refuse(answer) {
  if (answer.status === 401) return say("You are signed out. Sign in again to see the logs.");
  if (answer.status === 404) return say("This bot is not there any more.");
  const problem = await answer.json().catch(() => ({}));
  if (problem.code === "no_container") return say("There are no logs yet: the bot has no container.");
  return say(`The logs cannot be read right now. ${problem.detail ?? ""} Trying again…`);
}

async function ask() {
  const patience = new AbortController();
  const limit = setTimeout(() => patience.abort(), 20_000);
  try {
    const answer = await fetch(section.dataset.logs, { headers: { Accept: "application/json" }, signal: patience.signal });
    failures = answer.ok ? 0 : failures + 1;
    if (!answer.ok) return await refuse(answer);
    const { logs } = await answer.json();
    if (!paused) take(logs);
    return sayHowMany();
  } catch {
    failures += 1;
    return say("The server does not answer. Trying again…");
  } finally {
    clearTimeout(limit);
  }
}

async function follow() {
  clearTimeout(timer);
  if (document.hidden || paused || underWay) return;
  underWay = true;
  await ask();
  underWay = false;
  if (!document.hidden && !paused) timer = setTimeout(follow, Math.min(EVERY * 2 ** Math.max(0, failures - 1), SLOWEST));
}

search.addEventListener("input", () => {
  for (const element of view.children) element.hidden = !matches(element);
  view.scrollTop = view.scrollHeight;
  sayHowMany();
});
pauseButton.addEventListener("click", () => {
  paused = !paused;
  pauseButton.setAttribute("aria-pressed", String(paused));
  pauseButton.textContent = paused ? "Follow" : "Pause";
  sayHowMany();
  follow();
});
wrapButton.addEventListener("click", () => {
  const wrapped = view.classList.toggle("wrapped");
  wrapButton.setAttribute("aria-pressed", String(wrapped));
});
copyButton.addEventListener("click", () => {
  const seen = [...view.querySelectorAll(".line:not([hidden])")].map((line) => line.textContent);
  copyButton.dispatchEvent(new CustomEvent("copy-text", { bubbles: true, detail: { text: `${seen.join("\n")}\n` } }));
});
latestButton.addEventListener("click", () => {
  view.scrollTop = view.scrollHeight;
  view.focus();
});
view.addEventListener("scroll", () => { latestButton.hidden = atEnd(); });
document.addEventListener("visibilitychange", follow);

say("Loading…");
follow();
