// What every page of a signed-in person does: notices, dialogs, and buttons that say why they do nothing.
const TOAST_SECONDS = 6;
const toasts = document.getElementById("toasts");

function toast(text, kind = "success") {
  // Said again, it is not said twice.
  for (const shown of [...toasts.children]) if (shown.textContent === text) shown.remove();
  const note = document.createElement("p");
  note.className = `toast ${kind}`;
  if (kind === "failure") note.setAttribute("role", "alert");
  note.textContent = text;
  toasts.append(note);
  leave(note, kind === "failure" ? TOAST_SECONDS * 2 : TOAST_SECONDS);
}

function leave(note, seconds) {
  setTimeout(() => note.remove(), seconds * 1000);
}

function problemOf(xhr) {
  try {
    return JSON.parse(xhr.responseText).detail;
  } catch {
    return "That did not work. Try again in a moment.";
  }
}

// What a person has opened stays open when the page around it is refreshed.
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && /^(DIALOG|DETAILS)$/.test(node.tagName));

document.addEventListener("htmx:beforeRequest", (event) => mark(event.detail.elt, "true"));
document.addEventListener("htmx:afterRequest", (event) => mark(event.detail.elt, "false"));

function mark(element, busy) {
  if (element.matches("form")) element.querySelector("[type=submit]")?.setAttribute("aria-busy", busy);
}

// A form that leads to another page is sent once, however often its button is pressed until that page is there.
const sent = new Set();
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.hasAttribute("hx-post")) return;
  if (sent.has(form)) {
    event.preventDefault();
  } else {
    sent.add(form);
    mark(form, "true");
  }
});
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of sent) mark(form, "false");
  sent.clear();
});

for (const note of toasts.children) leave(note, TOAST_SECONDS);

// A notice belongs to the moment: opening or reloading the same address later shows the page without it.
const address = new URL(location.href);
if (address.searchParams.has("notice")) {
  address.searchParams.delete("notice");
  address.searchParams.delete("bot");
  history.replaceState(null, "", address);
}

function closeDialogs() {
  for (const open of document.querySelectorAll("dialog[open]")) open.close();
}

document.addEventListener("notice", (event) => {
  closeDialogs();
  toast(event.detail.text);
});

document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.requestConfig.verb === "get") return;
  if (event.detail.xhr.status === 404) {
    // Somebody deleted it meanwhile, in another tab perhaps: what is asked here has no object any more.
    closeDialogs();
    htmx.trigger(document.body, "changed");
    toast("This bot is not there any more.", "failure");
  } else {
    toast(problemOf(event.detail.xhr), "failure");
  }
});

document.addEventListener("htmx:sendError", (event) => {
  if (event.detail.requestConfig.verb !== "get") toast("The server does not answer. Try again in a moment.", "failure");
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    event.stopImmediatePropagation();
    toast(button.dataset.why, "info");
  } else if (button.dataset.opens) {
    document.getElementById(button.dataset.opens).showModal();
  } else if ("closes" in button.dataset) {
    button.closest("dialog").close();
  }
}, true);
