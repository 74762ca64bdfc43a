// The room in the address, as its fragment, so that Back and Forward, a reload and a link lead to it. The first room has none.
(() => {
  const FIRST = "bloom";
  const named = () => location.hash.slice(1) || FIRST;
  const door = (name) => document.querySelector(`#rooms [role=tab][data-tab-id="${CSS.escape(name)}"]`);
  let here = null;  // until the page has opened

  function enter() {
    if (named() !== here) door(named())?.click();
  }

  setInterval(() => {
    const open = document.querySelector("#rooms [role=tab][aria-selected=true]")?.dataset.tabId;
    if (!open || open === here) return;
    const opening = here === null;
    here = open;
    if (opening) return enter();
    if (open === named()) return;
    const link = new URL(location);
    link.hash = open === FIRST ? "" : open;
    history.pushState(history.state, "", link);
  }, 100);
  addEventListener("popstate", enter);
})();
