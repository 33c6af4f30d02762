// Buttons that copy: data-copies names the element whose text, or data-value, goes to the clipboard. A script whose
// button copies something else sends an event "copy-text" from it.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Browsers offer the clipboard to pages over https and on this very machine only.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not allowed");
}

async function copyAndSay(button, text) {
  const label = button.firstChild;
  const before = label.textContent;
  try {
    await copy(text);
    label.textContent = "Copied";
  } catch {
    label.textContent = "Select it and copy it yourself";
  }
  setTimeout(() => { label.textContent = before; }, 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copies);
  copyAndSay(button, source.dataset.value ?? source.textContent);
});
document.addEventListener("copy-text", (event) => copyAndSay(event.target, event.detail.text));
