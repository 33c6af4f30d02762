// Signs people in and out with Clerk, and keeps the page's own requests going when the session's token has run out.
// Clerk's own scripts come from elsewhere, at any time or never: nothing here but signing in waits for them for long.
const PATIENCE = 15_000;
const SHORT = 5_000;
const RETURNS = "clerk-returns";
const MOST_RETURNS = 3;
const WITHIN = 30_000;

function arrived(id, isThere) {
  return new Promise((resolve, reject) => {
    const look = () => (isThere() ? resolve() : reject(new Error(`${id} did not arrive`)));
    if (isThere()) resolve();
    document.getElementById(id).addEventListener("load", look);
    // It may have failed before anybody listened; the page's own load waits until it is there or has failed.
    if (document.readyState === "complete") look();
    else addEventListener("load", look);
    setTimeout(look, PATIENCE);
  });
}

// The colours of our pages, light and dark, for what Clerk shows on them.
const variables = {
  colorPrimary: "var(--accent)",
  colorPrimaryForeground: "var(--accent-text)",
  colorBackground: "var(--surface)",
  colorForeground: "var(--text)",
  colorMuted: "var(--sunken)",
  colorMutedForeground: "var(--muted)",
  colorInput: "var(--ground)",
  colorInputForeground: "var(--text)",
  colorNeutral: "var(--text)",
  colorDanger: "var(--red)",
  colorSuccess: "var(--green)",
  colorWarning: "var(--yellow)",
  fontSize: "0.95rem",
};

async function load() {
  await Promise.all([arrived("clerk-js", () => window.Clerk), arrived("clerk-ui", () => window.__internal_ClerkUICtor)]);
  const ui = { ClerkUI: window.__internal_ClerkUICtor };
  await window.Clerk.load({ ui, appearance: { variables }, afterSignOutUrl: "/", telemetry: false });
  return window.Clerk;
}

const ready = load();
ready.catch(() => {});

function within(promise, milliseconds) {
  return Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error("late")), milliseconds))]);
}

// Whether there is a session; its token is in the cookie then, and good for some seconds at least.
async function hasToken(options) {
  try {
    const clerk = await within(ready, SHORT);
    return Boolean(await within(clerk.session?.getToken(options) ?? null, SHORT));
  } catch {
    return false;
  }
}

// -- the landing page

// Only a path of this server: an address that somebody else chose must not lead elsewhere.
function ownPath(text) {
  if (!text || !text.startsWith("/") || /[\\\u0000-\u001f]/.test(text)) return "";
  const address = new URL(text, location.origin);
  return address.origin === location.origin && !address.pathname.startsWith("//") ? address.pathname + address.search : "";
}

function say(place, text, link, leadsTo) {
  const sentence = document.createElement("p");
  sentence.setAttribute("role", "status");
  sentence.textContent = text;
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = leadsTo;
    anchor.textContent = link;
    sentence.append(" ", anchor);
  }
  place.replaceChildren(sentence);
}

// A server that does not accept what Clerk gave would send the browser back here again and again.
function mayReturn() {
  const lately = JSON.parse(sessionStorage.getItem(RETURNS) ?? "[]").filter((time) => Date.now() - time < WITHIN);
  if (lately.length >= MOST_RETURNS) return false;
  sessionStorage.setItem(RETURNS, JSON.stringify([...lately, Date.now()]));
  return true;
}

async function welcome(place) {
  const next = ownPath(new URLSearchParams(location.search).get("next"));
  // Who wanted another page did not come to read this one.
  if (next) document.getElementById("sign-in").scrollIntoView();
  say(place, "One moment, Clerk is being asked who you are.");
  let clerk;
  try {
    clerk = await ready;
  } catch {
    const why = "Signing in does not work right now: Clerk, which does it, cannot be reached, or this browser blocks it.";
    return say(place, why, "Try again", location.pathname + location.search);
  }
  // Clerk knows who it is, and wants something else first: its component says what.
  const isPending = clerk.session?.status === "pending";
  if (!clerk.user || isPending) {
    const then = next || "/dashboard";
    place.replaceChildren();
    // Whoever is new signs up on the way.
    return clerk.mountSignIn(place, { withSignUp: true, forceRedirectUrl: then, signUpForceRedirectUrl: then });
  }
  if (!next) return say(place, "You are signed in.", "Go to your bots", "/dashboard");
  if (!mayReturn() || !(await hasToken({ skipCache: true }))) {
    return say(place, "You are signed in, but this server does not accept it. Show this to whoever runs it, or", "try again.", next);
  }
  location.replace(next);
}

// -- pages of somebody who is signed in

function leave() {
  location.replace("/");
}

async function accompany(place) {
  const out = document.createElement("button");
  out.type = "button";
  out.className = "button";
  out.textContent = "Sign out";
  const user = document.createElement("div");
  place.replaceChildren(user, out);
  out.addEventListener("click", async () => {
    out.setAttribute("aria-busy", "true");
    try {
      await (await within(ready, SHORT)).signOut({ redirectUrl: "/" });
    } catch {
      out.setAttribute("aria-busy", "false");
      out.textContent = "Sign out again";
    }
  });
  try {
    const clerk = await ready;
    clerk.mountUserButton(user);
    // Signed out in another tab, or at Clerk.
    clerk.addListener(({ user: who }) => who || leave());
  } catch {
    user.remove();
  }
}

// -- the page's own requests: one that is refused is sent once more, with a fresh token

// Where many are behind one address, those whose tokens have run out can be too many for the server, which then says that.
const refused = (status) => status === 401 || status === 429;

const plain = window.fetch.bind(window);
window.fetch = async (input, init) => {
  const answer = await plain(input, init);
  const own = typeof input === "string" && new URL(input, location.href).origin === location.origin;
  return own && refused(answer.status) && (await hasToken({ skipCache: true })) ? plain(input, init) : answer;
};

const again = new WeakSet();
const held = new WeakSet();

async function sendAgain(detail) {
  const { elt, xhr, requestConfig } = detail;
  if (await hasToken({ skipCache: true })) {
    again.add(elt);
    htmx.ajax(requestConfig.verb, requestConfig.path, { source: elt, event: requestConfig.triggeringEvent });
  } else {
    held.delete(xhr);
    htmx.trigger(elt, "htmx:responseError", detail);
    htmx.trigger(elt, "htmx:afterRequest", detail);
  }
}

addEventListener("htmx:beforeOnLoad", (event) => {
  const { elt, xhr } = event.detail;
  if (again.delete(elt) || !refused(xhr.status)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  held.add(xhr);
  sendAgain(event.detail);
}, true);

addEventListener("htmx:afterRequest", (event) => {
  if (held.has(event.detail.xhr)) event.stopImmediatePropagation();
}, true);

// A form that leads to another page cannot be sent again by anybody but its person, so it waits for a good token first.
const cleared = new WeakSet();
addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (form.method !== "post" || form.hasAttribute("hx-post") || cleared.has(form)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  await hasToken();
  // Later, because while its event is still on the way a form cannot be submitted.
  setTimeout(() => {
    cleared.add(form);
    form.requestSubmit(submitter);
    cleared.delete(form);
  });
}, true);

const landing = document.getElementById("sign-in-here");
const corner = document.getElementById("signed-in-as");
if (landing) welcome(landing);
if (corner) accompany(corner);
