
// A page's files come one by one. When the machine's addresses change, Chromium drops
// what it is just connecting for (ERR_NETWORK_CHANGED), from loopback too, and a module
// that has failed once stays so: a page that has lost a file begins anew. One that has
// them all says so: <html data-whole>.
{
  const pause = 200;
  const tries = Number(sessionStorage.getItem("begin") ?? 0); // in a row, which failed
  // A file that neither comes nor fails is lost, too; a slow machine gets longer each time.
  const patience = 10000 * 2 ** Math.min(tries, 4); // ms
  const files = (target) => target instanceof HTMLScriptElement || target instanceof HTMLLinkElement;
  let lost = false;

  // Not before the server answers: the browser's own page of an error would take this
  // one's place. The answer is read, so that its connection is there for the reload.
  const again = async () => {
    if (lost) return;
    lost = true;
    clearTimeout(timer);
    sessionStorage.setItem("begin", tries + 1);
    for (let answered = false; !answered;) {
      await new Promise((done) => { setTimeout(done, pause); });
      answered = await fetch(location.href, { signal: AbortSignal.timeout(patience) }).then((answer) => answer.text()).then(() => true, () => false);
    }
    location.reload();
  };

  const timer = setTimeout(again, patience);
  window.addEventListener("lost", again); // said by who misses a file of another kind
  window.addEventListener("error", (event) => { if (files(event.target)) again(); }, true);
  window.addEventListener("load", (event) => {
    if (event.target !== document || lost) return;
    clearTimeout(timer);
    sessionStorage.removeItem("begin");
    document.documentElement.dataset.whole = "";
  }, true);
}
