// Shows what a bot writes, as it writes it. Whatever it writes is text to us: never markup, and bounded.
const MOST_LINES = 5_000;
const MOST_CHARACTERS = 2_000_000;
const LONGEST_LINE = 4_000;
const FIRST_TAIL = 1_000;
const NEXT_TAIL = 200;
const EVERY = 2_000;
const EVERY_WHEN_STOPPED = 10_000;
const SLOWEST = 30_000;

const section = document.querySelector("[data-logs]");
const view = section.querySelector("[data-logs-view]");
const list = section.querySelector("[data-logs-lines]");
const state = section.querySelector("[data-logs-state]");
const search = section.querySelector("input[type=search]");
const pauseButton = section.querySelector("[data-logs-pause]");
const wrapButton = section.querySelector("[data-logs-wrap]");
const copyButton = section.querySelector("[data-logs-copy]");
const latestButton = section.querySelector("[data-logs-latest]");
const download = section.querySelector("[data-logs-download]");

// The same as in pages/log_lines.py. Escape sequences that colour a terminal, set its title or move its cursor; one that
// does not end hides nothing.
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]{0,200}(?:\u0007|\u001b\\)|[ -/]*[0-~])?/g;
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

let lines = [];
let unfinished = null;
let characters = 0;
let paused = false;
let failures = 0;
let gone = false;
let timer;
let underWay = false;
let known = bot();
let beganAnew = true;

// What the live part of the page says of the bot.
function bot() {
  const live = document.getElementById("live");
  return { container: live.dataset.container, status: live.dataset.status };
}

function printable(line) {
  const clean = line.slice(0, LONGEST_LINE * 4).replace(/\r$/, "").replace(ESCAPES, "").replace(UNSEEN, "\ufffd");
  const cut = clean.length > LONGEST_LINE || line.length > LONGEST_LINE * 4;
  return cut ? `${clean.slice(0, LONGEST_LINE)}… (a line of ${line.length} characters; the download has more of it)` : clean;
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

function fill(element, text) {
  characters += text.length - element.textContent.length;
  element.textContent = text;
  return element;
}

function line(text, kind = "line") {
  const element = document.createElement("div");
  element.className = kind;
  return fill(element, text);
}

// Adds lines at the end; others may be ones whose text has changed.
function write(added, others = []) {
  list.append(...added);
  list.dispatchEvent(new CustomEvent("written", { detail: [...added, ...others] }));
}

// Keeps the last lines. It is done when the new ones have been drawn, so that nothing seems to move: who reads goes on
// where they were.
function trim() {
  const [top, before] = [view.scrollTop, view.scrollHeight];
  while (list.childElementCount > MOST_LINES || (characters > MOST_CHARACTERS && list.childElementCount > 1)) {
    characters -= list.firstElementChild.textContent.length;
    list.firstElementChild.remove();
  }
  const removed = before - view.scrollHeight;
  if (removed) view.scrollTop = top - removed;
}

function atEnd() {
  return view.scrollHeight - view.scrollTop - view.clientHeight < 24;
}

// Adds what is new; false when lines may be missing in between that a longer tail would show.
function take(text, tail) {
  const fresh = text.split("\n");
  const last = fresh.pop();
  const same = overlap(lines, fresh);
  const missed = same === 0 && lines.length > 0 && fresh.length > 0;
  if (missed && tail < FIRST_TAIL) return false;
  const follows = beganAnew || atEnd();
  if (beganAnew) {
    list.replaceChildren();
    characters = 0;
    beganAnew = false;
  }
  // The line that is being written is shown, and compared with nothing until it is whole.
  const whole = last === "" ? fresh.slice(same) : [...fresh.slice(same), last];
  const grown = !missed && unfinished && whole.length ? [fill(unfinished, printable(whole.shift()))] : [];
  const elements = whole.map((one) => line(printable(one)));
  if (missed) elements.unshift(line("… (some lines went by too fast to be shown here)", "line note"));
  write(elements, grown);
  unfinished = last === "" ? null : list.lastElementChild;
  lines = lines.concat(fresh.slice(same)).slice(-FIRST_TAIL);
  if (follows) view.scrollTop = view.scrollHeight;
  latestButton.hidden = atEnd();
  requestAnimationFrame(() => setTimeout(trim));
  return true;
}

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

function count() {
  const all = list.childElementCount;
  const seen = list.querySelectorAll(":scope > :not([hidden])").length;
  const counted = `${all.toLocaleString("en")} ${all === 1 ? "line" : "lines"}`;
  return search.value ? `${seen.toLocaleString("en")} of ${counted}` : counted;
}

function sayHowMany() {
  const following = paused ? "paused" : known.status === "stopped" ? "the bot is stopped" : "following";
  if (list.childElementCount) say(`${count()}, ${following}`);
  else say("Nothing was written yet. New lines appear here by themselves.");
}

async function refuse(answer) {
  // To look at something is too much (429) only for those who fail to sign in too often.
  if (answer.status === 401 || answer.status === 429) return say("You are signed out. Sign in again to see the logs.");
  gone = answer.status === 404;
  if (gone) return say("This bot is not there any more.");
  const problem = await answer.json().catch(() => ({}));
  if (problem.code === "no_container") return say("There are no logs: the bot has no container.");
  const why = (problem.detail ?? "").replace(/[^.!?]$/, "$&.");
  return say(`The logs cannot be read right now. ${why} Trying again…`);
}

async function ask(tail) {
  const { container } = known;
  const patience = new AbortController();
  const limit = setTimeout(() => patience.abort(), 20_000);
  try {
    const options = { headers: { Accept: "application/json" }, signal: patience.signal };
    const answer = await fetch(`${section.dataset.logs}?tail=${tail}`, options);
    failures = answer.ok ? 0 : failures + 1;
    if (!answer.ok) return await refuse(answer);
    const { logs } = await answer.json();
    if (paused || container !== known.container) return undefined;
    if (!take(logs, tail)) return await ask(FIRST_TAIL);
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
  if (document.hidden || paused || underWay || gone) return undefined;
  if (!known.container) return say("There are no logs yet: the bot has no container.");
  underWay = true;
  await ask(beganAnew || !lines.length ? FIRST_TAIL : NEXT_TAIL);
  underWay = false;
  const usual = known.status === "stopped" ? EVERY_WHEN_STOPPED : EVERY;
  if (!document.hidden && !paused) timer = setTimeout(follow, Math.min(usual * 2 ** Math.max(0, failures - 1), SLOWEST));
  return undefined;
}

// A bot that starts or stops has just written something, and one with a new container begins a new log.
function notice() {
  const before = known;
  known = bot();
  download.hidden = !known.container;
  if (before.container === known.container && before.status === known.status) return;
  if (before.container !== known.container) {
    lines = [];
    unfinished = null;
    if (before.container && known.container && list.childElementCount) write([line("… (a new container)", "line note")]);
  }
  follow();
}

list.addEventListener("sifted", () => {
  view.scrollTop = view.scrollHeight;
  if (!list.childElementCount) return;
  sayHowMany();
  document.getElementById("announcer").textContent = count();
});
pauseButton.addEventListener("click", () => {
  paused = !paused;
  pauseButton.textContent = paused ? "Resume" : "Pause";
  sayHowMany();
  follow();
});
wrapButton.addEventListener("click", () => {
  const follows = atEnd();
  const wrapped = view.classList.toggle("wrapped");
  wrapButton.setAttribute("aria-pressed", String(wrapped));
  if (follows) view.scrollTop = view.scrollHeight;
});
copyButton.addEventListener("click", () => {
  const seen = [...list.children].filter((element) => !element.hidden).map((element) => element.textContent);
  copyButton.dispatchEvent(new CustomEvent("copy-text", { bubbles: true, detail: { text: `${seen.join("\n")}\n` } }));
});
latestButton.addEventListener("click", () => {
  view.scrollTop = view.scrollHeight;
  view.focus();
});
view.addEventListener("scroll", () => { latestButton.hidden = atEnd(); });
document.addEventListener("visibilitychange", follow);
document.addEventListener("htmx:afterSwap", notice);

view.scrollTop = view.scrollHeight;
follow();
