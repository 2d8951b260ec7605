// Keeps a page as its server would show it now. Without this file the buttons and links work as well; the page is
// then loaded anew by hand, and by itself while something is going on.
"use strict";

(() => {
  // Milliseconds between two looks: quick while something is going on, slow enough for a room on one Wi-Fi.
  const QUICK = 1000, CALM = 4000;
  // Milliseconds after which an answer counts as lost.
  const PATIENCE = 10000;
  const lost = document.getElementById("lost");
  const said = () => document.getElementById("said");
  if (!said()) return;

  const parts = (page) => new Map([...page.querySelectorAll("[data-part]")].map((part) => [part.id, part]));
  // What the server sent last, part by part: what the reader opened or this file changed since is no news.
  const sent = new Map();
  const remember = (found) => found.forEach((part, id) => sent.set(id, part.outerHTML));
  const busy = () => document.querySelector('[aria-disabled="true"]') !== null;
  let timer = 0, latest = 0;

  async function ask(address, options = {}) {
    const mine = ++latest;
    clearTimeout(timer);
    try {
      const answer = await fetch(address, { cache: "no-cache", signal: AbortSignal.timeout(PATIENCE), ...options });
      if (!answer.ok) throw new Error(answer.statusText);
      const text = await answer.text();
      // Something was asked since, and this answer tells how it was before.
      if (mine !== latest) return;
      show(new DOMParser().parseFromString(text, "text/html"));
      lost.hidden = true;
      lost.textContent = "";
    } catch {
      if (mine === latest && lost.hidden) {
        lost.hidden = false;
        lost.textContent = lost.dataset.lost;
      }
    }
    if (mine === latest) next();
  }

  function next() {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(ask, busy() ? QUICK : CALM, location.pathname);
  }

  function show(page) {
    const now = parts(document), fresh = parts(page), news = page.getElementById("said");
    if (!news || page.documentElement.lang !== document.documentElement.lang) {
      location.reload();
      return;
    }
    document.title = page.title;
    // Another beginning, or another seat in the room: too much has changed for parts.
    const frame = (of, found) => [of.getElementById("again") !== null, ...found.keys()].join();
    if (frame(page, fresh) !== frame(document, now)) {
      remember(fresh);
      replace(document.querySelector("main"), page.querySelector("main"));
      return;
    }
    for (const [id, part] of fresh) {
      if (sent.get(id) !== part.outerHTML) {
        sent.set(id, part.outerHTML);
        replace(now.get(id), part);
      }
    }
    // A live region is read out when its text changes, and only when it stays the same element.
    if (said().textContent !== news.textContent) {
      said().lang = news.lang || document.documentElement.lang;
      said().textContent = news.textContent;
    }
  }

  function replace(old, part) {
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    for (const open of old.querySelectorAll("details[open]")) {
      const same = part.querySelector(`#${CSS.escape(open.id)}`);
      if (same) same.open = true;
    }
    if (!old.classList.contains("passed") && part.classList.contains("passed")) part.classList.add("fresh");
    offerCopies(part);
    old.replaceWith(part);
    // Whoever uses a keyboard goes on where they were; where that is gone, at what there is to say.
    if (focused) ((focused.id && document.getElementById(focused.id)) || said()).focus();
  }

  function offerCopies(within) {
    for (const button of within.querySelectorAll("[data-copy]")) button.hidden = false;
  }

  async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    let told = button.dataset.done;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // Browsers give the clipboard only to pages that come encrypted or from their own machine.
      getSelection().selectAllChildren(source);
      told = button.dataset.marked;
    }
    document.getElementById("copied").textContent = told;
    button.textContent = told;
  }

  document.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = event.submitter ?? event.target.querySelector("button");
    if (button.getAttribute("aria-disabled") === "true") return;
    const about = button.closest("details");
    if (about) {
      about.open = false;
      about.querySelector("summary").focus();
    }
    ask(event.target.action, { method: "POST" });
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : ask(location.pathname)));
  addEventListener("online", () => ask(location.pathname));
  remember(parts(document));
  offerCopies(document);
  next();
})();
