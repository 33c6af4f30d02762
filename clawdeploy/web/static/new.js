// The form for a new bot: shows what belongs to the chosen model and channel, says what is wrong where it is wrong,
// and sends the form without leaving the page, so that nothing that was typed is lost.
const PATIENCE = 30_000;
const NO_ANSWER = "The server does not answer. What you typed is still here; send it again in a moment.";
const SIGNED_OUT = "You are signed out. Sign in again in another tab, then send this form; what you typed is still here.";

const form = document.getElementById("new");
const create = document.getElementById("create");
const summary = document.getElementById("summary");
const announcer = document.getElementById("announcer");
const inputs = [...form.elements].filter((one) => one.name && one.type !== "hidden");
let pressed = false;

// -- what belongs to a choice

function showChosen() {
  for (const part of form.querySelectorAll("[data-of]")) {
    const chosen = form.elements[part.dataset.of].value === part.dataset.value;
    part.toggleAttribute("data-chosen", chosen);
    part.hidden = !chosen;
    if (part.localName === "fieldset") part.disabled = !chosen;
  }
}

// -- what is wrong

function labelOf(input) {
  return input.labels[0].textContent;
}

function say(input, sentence) {
  const place = document.getElementById(`wrong-${input.id}`);
  place.textContent = sentence;
  place.hidden = !sentence;
  if (sentence) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

function saidOf(input) {
  return input.hasAttribute("aria-invalid") ? document.getElementById(`wrong-${input.id}`).textContent : "";
}

// What can be told without asking the server; it looks again, and more closely.
function complaint(input) {
  const value = input.value.trim();
  if (input.required && !value) return "Give the bot a name.";
  if (input.maxLength > 0 && [...value].length > input.maxLength) return `At most ${input.maxLength} characters.`;
  if ("secret" in input.dataset && /\s/.test(value)) return "There is a space or a line break in it. Copy it again.";
  return "";
}

function showErrors(errors, trouble) {
  const wrongs = document.getElementById("wrongs");
  wrongs.replaceChildren();
  for (const input of inputs) say(input, (errors[input.name] ?? []).join(" "));
  for (const [name, sentences] of Object.entries(errors)) {
    for (const sentence of sentences) wrongs.append(summaryLine(name, sentence));
  }
  const wrong = inputs.filter((input) => errors[input.name]);
  document.getElementById("trouble").textContent = trouble || "Please correct this first:";
  document.getElementById("secrets-lost")?.remove();
  summary.hidden = !trouble && wrongs.childElementCount < 2 && wrong.length > 0;
  (summary.hidden ? wrong[0] : summary).focus();
}

function summaryLine(name, sentence) {
  const line = document.createElement("li");
  const input = inputs.find((one) => one.name === name);
  if (!input) {
    line.textContent = sentence;
    return line;
  }
  const link = document.createElement("a");
  link.href = `#${input.id}`;
  link.textContent = `${labelOf(input)}: ${sentence}`;
  line.append(link);
  return line;
}

// What is said below an input moves the button away that is being pressed, and a press that ends elsewhere is no click.
async function released() {
  if (!pressed) return;
  await new Promise((done) => {
    for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(done), { once: true });
  });
}

async function check(input) {
  const value = input.value;
  await released();
  if (create.disabled || input.value !== value) return;
  say(input, complaint(input));
  if (!value.trim() || input.hasAttribute("aria-invalid")) return;
  const asked = new URLSearchParams({ channel: form.elements.channel.value, [input.name]: value });
  try {
    const answer = await send(`${form.action}/check`, asked);
    if (!answer.ok) return;
    const { errors } = await answer.json();
    await released();
    if (!create.disabled && input.value === value) say(input, (errors[input.name] ?? []).join(" "));
  } catch {
    // It is only looked at early. Sending the form tells everything.
  }
}

// -- sending

function send(address, fields) {
  const headers = { "HX-Request": "true", Accept: "application/json" };
  const signal = AbortSignal.timeout(PATIENCE);
  return fetch(address, { method: "POST", body: fields, headers, signal, redirect: "error" });
}

function setBusy(busy) {
  create.disabled = busy;
  create.toggleAttribute("data-busy", busy);
  create.querySelector("[data-word]").textContent = busy ? "Creating…" : "Create bot";
  announcer.textContent = busy ? "Creating the bot." : "";
}

// The form was carried out already, before it was changed: what is in it now is another bot, under another key.
function renewKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(18));
  form.elements.key.value = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function submit() {
  const errors = {};
  for (const input of inputs.filter((one) => !one.matches(":disabled"))) {
    const said = complaint(input) || saidOf(input);
    if (said) errors[input.name] = [said];
  }
  if (Object.keys(errors).length) return showErrors(errors);
  setBusy(true);
  try {
    const answer = await send(form.action, new URLSearchParams(new FormData(form)));
    if (answer.status === 201) return location.replace(answer.headers.get("Location"));
    const problem = await answer.json();
    setBusy(false);
    if (problem.code === "idempotency_key_reused") renewKey();
    const trouble = answer.status === 401 ? SIGNED_OUT : problem.detail;
    showErrors(problem.errors ?? {}, problem.errors ? "" : trouble);
  } catch {
    setBusy(false);
    showErrors({}, NO_ANSWER);
  }
}

form.noValidate = true;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!create.disabled) submit();
});
form.addEventListener("input", (event) => say(event.target, ""));
form.addEventListener("change", (event) => {
  showChosen();
  if (event.target.localName === "input") check(event.target);
});
form.addEventListener("click", (event) => {
  const button = event.target.closest("[data-reveals]");
  if (!button) return;
  const input = document.getElementById(button.dataset.reveals);
  const shown = input.type === "password";
  input.type = shown ? "text" : "password";
  button.querySelector("[data-word]").textContent = shown ? "Hide" : "Show";
});
document.addEventListener("pointerdown", () => (pressed = true), true);
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => (pressed = false), true);
window.addEventListener("pageshow", (event) => {
  showChosen();
  if (event.persisted) setBusy(false);
});

for (const button of form.querySelectorAll("[data-reveals]")) button.hidden = false;
showChosen();
// On a phone the keyboard would cover the form before anybody has seen it.
if (matchMedia("(hover: hover) and (pointer: fine)").matches && summary.hidden) form.elements.name.focus();
