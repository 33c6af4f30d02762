// Stands for clerk-js in tests: talks to the local Frontend API, and keeps the cookies that the real one keeps.
(() => {
  const script = document.currentScript;
  const api = new URL(script.src).origin;
  if (!script.dataset.clerkPublishableKey) throw new Error("clerk-js needs a publishable key");
  const listeners = [];
  let token = "";

  async function call(method, path) {
    const answer = await fetch(api + path, { method, credentials: "include" });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  }
  function keep(user, jwt) {
    token = jwt;
    document.cookie = `__session=${jwt ?? ""}; Path=/; SameSite=Lax${jwt ? "" : "; Max-Age=0"}`;
    if (!document.cookie.includes("__client_uat=") || !user || document.cookie.includes("__client_uat=0")) {
      document.cookie = `__client_uat=${user ? Math.floor(Date.now() / 1000) - 1 : 0}; Path=/; SameSite=Lax`;
    }
    document.cookie = "__clerk_db_jwt=dvb_1; Path=/; SameSite=Lax";
  }
  function know({ user: id, status }) {
    Clerk.user = id ? { id } : null;
    Clerk.session = id ? Object.assign(session, { status }) : null;
    for (const listener of listeners) listener({ user: Clerk.user, session: Clerk.session });
  }
  const session = {
    id: "sess_1",
    async getToken({ skipCache } = {}) {
      if (!token || skipCache) keep(Clerk.user, (await call("POST", "/v1/client/sessions/tokens")).jwt);
      return token;
    },
  };
  const Clerk = {
    loaded: false,
    user: null,
    session: null,
    async load({ ui }) {
      if (!ui?.ClerkUI) throw new Error("Clerk was not loaded with Ui components");
      const known = await call("GET", "/v1/client");
      know(known);
      if (known.user && !window.clerkShimKeepsStale) await session.getToken({ skipCache: true });
      Clerk.loaded = true;
    },
    addListener(listener) {
      listeners.push(listener);
      return () => {};
    },
    mountSignIn(place, { forceRedirectUrl }) {
      const button = document.createElement("button");
      button.textContent = "Continue with Google";
      // Clerk's components bring their styles with them.
      const style = document.createElement("style");
      style.textContent = ".cl-button { padding: 1rem; color: rgb(10, 20, 30); background: rgb(250, 250, 250); }";
      document.head.append(style);
      button.className = "cl-button";
      button.addEventListener("click", async () => {
        know(await call("POST", "/v1/client/sign_ins"));
        await session.getToken({ skipCache: true });
        location.assign(forceRedirectUrl);
      });
      place.append(button);
    },
    mountUserButton(place) {
      const button = document.createElement("button");
      button.textContent = "A";
      button.setAttribute("aria-label", "Open user menu");
      button.dataset.user = Clerk.user?.id ?? "";
      place.append(button);
    },
    async signOut({ redirectUrl }) {
      await call("POST", "/v1/client/sessions/remove");
      keep(null, "");
      location.assign(redirectUrl);
      know({ user: null });
    },
  };
  window.Clerk = Clerk;
})();
