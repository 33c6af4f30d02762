// Runs in every page before the page itself, and tells the test what went wrong in it.
(() => {
  const tell = (kind, text) => window.tellTrouble(kind, text);

  document.addEventListener("securitypolicyviolation", (event) => {
    const what = event.blockedURI + (event.sample ? ` "${event.sample}"` : "");
    tell("CSP violation", `${event.effectiveDirective} forbids ${what} at ${event.sourceFile}:${event.lineNumber}`);
  });

  const name = (node) => {
    if (!node) return "something that is gone";
    const element = node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement;
    if (!element) return node.nodeName;
    const id = element.id ? `#${element.id}` : "";
    return element.localName + id + [...element.classList].map((one) => `.${one}`).join("");
  };
  const place = (box) => `${box.x},${box.y} ${box.width}x${box.height}`;
  const report = (entries) => {
    for (const entry of entries) {
      // What is smaller nobody sees, and a browser under load reports some of it now and then.
      if (entry.hadRecentInput || entry.value < 0.001) continue;
      const moved = entry.sources.map(
        (one) => `${name(one.node)} from ${place(one.previousRect)} to ${place(one.currentRect)}`,
      );
      tell("layout shift", `${entry.value.toFixed(4)}: ${moved.join("; ")}`);
    }
  };

  const observer = new PerformanceObserver((list) => report(list.getEntries()));
  observer.observe({ type: "layout-shift", buffered: true });
  addEventListener("pagehide", () => report(observer.takeRecords()));
  window.flushTroubles = () => report(observer.takeRecords());
})();
