// Shows only those lines of a log that contain what is searched for, and marks it in them without touching their text.
const MOST_FOUND = 500;
const WHILE_TYPING = 150;

const list = document.querySelector("[data-logs-lines]");
const search = document.getElementById("logs-search");

let wanted = null;
let typing;

function sift(lines) {
  for (const line of lines) line.hidden = wanted !== null && line.textContent.search(wanted) < 0;
}

// Marks the newest of what was found, where the browser can do that.
function mark() {
  if (!CSS.highlights) return;
  const found = [];
  for (const line of wanted ? [...list.children].reverse() : []) {
    if (found.length >= MOST_FOUND) break;
    for (const { index, 0: text } of line.hidden ? [] : line.textContent.matchAll(wanted)) {
      const range = document.createRange();
      range.setStart(line.firstChild, index);
      range.setEnd(line.firstChild, index + text.length);
      found.push(range);
    }
  }
  CSS.highlights.set("found", new Highlight(...found.slice(0, MOST_FOUND)));
}

function find() {
  const text = search.value.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  wanted = text ? new RegExp(text, "giu") : null;
  sift(list.children);
  mark();
  list.dispatchEvent(new Event("sifted"));
}

search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(find, WHILE_TYPING);
});
list.addEventListener("written", (event) => {
  sift(event.detail);
  mark();
});
// A browser that brings a page back fills in what was typed there.
if (search.value) find();
