// What every widget that takes votes shares: what this browser keeps, and the talk with the server.
// There is one of it on a page, whichever widget comes first.
const ballots = window.psrBallots ??= (() => {
  const BROWSER = 'psr-browser', OLD = 'psr-browser-old', CONSENT = 'psr-consent', OWN = 'psr-consent-own';
  const RECEIPTS = 'psr-receipts';
  const MOST_RECEIPTS = 300, MOST_OLD = 5, AT_ONCE = 50, DAY_MS = 86_400_000;
  const FIRST_WAIT_MS = 2_000, LONGEST_WAIT_MS = 60_000, PATIENCE_MS = 20_000, SOON_SECONDS = 300;

  const memory = new Map();  // where a browser lets a page keep nothing
  const canKeep = (() => {
    try {
      localStorage.setItem('psr-probe', '1');
      localStorage.removeItem('psr-probe');
      return true;
    } catch {
      return false;
    }
  })();
  const read = (key) => (canKeep ? localStorage.getItem(key) : memory.get(key)) ?? null;
  const write = (key, value) => {
    if (!canKeep) memory.set(key, value);
    else if (value === null) localStorage.removeItem(key);
    else try { localStorage.setItem(key, value); } catch { /* full: the vote itself is on the server */ }
  };

  // An answer other than the one that was asked for; without a sentence where it came from no server of ours.
  class Refusal extends Error {
    constructor(status, sentence, seconds = 0) {
      super(sentence ?? `status ${status}`);
      Object.assign(this, {status, sentence, seconds});
    }
    get isPassing() {  // whether the same may be taken soon
      return this.status === 0 || this.status === 408 || this.status >= 500
        || (this.status === 429 && this.seconds <= SOON_SECONDS);
    }
  }

  const post = async (route, body) => {
    let response, answer = null;
    try {
      response = await fetch(`ratings/${route}`, {
        method: 'POST',
        headers: {'Content-Type': 'application/json'},
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch {
      throw new Refusal(0);
    }
    try {
      answer = await response.json();
    } catch { /* said below */ }
    if (response.ok && answer) return answer;
    throw new Refusal(response.ok ? 502 : response.status, answer?.error, Number(response.headers.get('Retry-After')));
  };

  const list = (key, isOne) => {
    try {
      return JSON.parse(read(key) ?? '[]').filter(isOne);
    } catch {
      return [];
    }
  };
  const keep = (key, all) => write(key, all.length ? JSON.stringify(all) : null);
  const receipts = () => list(RECEIPTS, (one) => one?.id && one?.receipt);
  const drop = (gone) => keep(RECEIPTS, receipts().filter((one) => !gone.has(one.id)));

  // Tokens that a server has replaced; votes under them may still be there, and are deleted with the others.
  const oldBrowsers = () => list(OLD, (one) => typeof one === 'string');
  const keepBrowser = (token) => {
    const last = read(BROWSER);
    if (last !== null && last !== token) keep(OLD, [...oldBrowsers().filter((one) => one !== last), last].slice(-MOST_OLD));
    write(BROWSER, token);
  };
  const parts = (all) => Array.from({length: Math.ceil(all.length / AT_ONCE)},
    (_, at) => all.slice(at * AT_ONCE, (at + 1) * AT_ONCE));

  const listeners = new Map();  // of a vote's id: what to tell of its state
  const settle = (states, keeper, trouble) => {
    const now = Date.now(), gone = new Set();
    for (const {id, at} of receipts()) {
      const state = states[id];
      if (state === 'saved' || (keeper === 'here' && state && !(now - at < DAY_MS))) gone.add(id);
      if (state === 'saved' || state === 'accepted') listeners.get(id)?.(state, keeper, trouble);
      if (state === 'saved') listeners.delete(id);
    }
    drop(gone);
  };

  // Hands over again what the server may have lost; it knows a vote by its id and counts it once.
  const handOver = async (all) => {
    for (const part of parts(all)) {
      try {
        const {states} = await post('again', {receipts: part.map((one) => one.receipt)});
        settle(states, null, false);
        drop(new Set(part.map((one) => one.id).filter((id) => (states[id] ?? 'unknown') === 'unknown')));
      } catch (refusal) {
        if (!(refusal instanceof Refusal)) throw refusal;
        if (refusal.isPassing) return;  // they stay, and are asked for below
        if (part.length > 1) for (const one of part) await handOver([one]);
        else drop(new Set([part[0].id]));
      }
    }
  };

  let wait = FIRST_WAIT_MS, timer = null, isAsking = false, hasNews = false;
  const plan = (milliseconds) => {
    clearTimeout(timer);
    timer = setTimeout(ask, milliseconds);
  };
  const ask = async () => {
    const waiting = receipts();
    if (!waiting.length || isAsking) return;
    if (document.hidden) {
      document.addEventListener('visibilitychange', () => plan(0), {once: true});
      return;
    }
    isAsking = true;
    hasNews = false;
    let keeper = null;
    try {
      for (const part of parts(waiting)) {
        const said = await post('state', {ids: part.map((one) => one.id)});
        keeper = said.keeper;
        settle(said.states, said.keeper, said.trouble);
        const lost = part.filter((one) => said.states[one.id] === 'unknown');
        if (lost.length) await handOver(lost);
      }
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;  // otherwise asked again later
    } finally {
      isAsking = false;
    }
    wait = hasNews ? FIRST_WAIT_MS : Math.min(wait * 1.5, LONGEST_WAIT_MS);
    if (receipts().length && (hasNews || keeper !== 'here')) plan(wait);
  };

  const agree = (key) => {
    write(key, 'yes');
    window.dispatchEvent(new Event('psr-consent'));
  };

  const shared = {
    post,
    Refusal,
    browser: () => read(BROWSER),
    keepBrowser,
    hasVoted: () => read(BROWSER) !== null || oldBrowsers().length > 0,

    // One consent is for the blind trials; the other is for grades of own results only, and never stands for the first.
    hasConsent: () => read(CONSENT) === 'yes',
    hasOwnConsent: () => read(OWN) === 'yes',
    consent: () => agree(CONSENT),
    consentOwn: () => agree(OWN),

    // Draws a trial; the server gives a browser that it does not know a new token.
    async draw(mode) {
      const drawn = await post('draw', {browser: read(BROWSER), mode, consent: true});
      keepBrowser(drawn.browser);
      return drawn;
    },

    // Keeps the receipt of a vote until it is saved, and tells of its state until then.
    follow(vote, tell) {
      listeners.set(vote.id, tell);
      tell(vote.state, null, false);
      if (vote.state === 'saved') return;
      const kept = receipts().filter((one) => one.id !== vote.id).slice(1 - MOST_RECEIPTS);
      write(RECEIPTS, JSON.stringify([...kept, {id: vote.id, receipt: vote.receipt, at: Date.now()}]));
      hasNews = true;
      wait = FIRST_WAIT_MS;
      plan(wait);
    },

    // Deletes the votes of this browser; foreign is how many of its tokens the server no longer knows, which stay here.
    async forget() {
      const browser = read(BROWSER), foreign = [];
      let deleted = 0;
      for (const token of [...oldBrowsers(), browser].filter((one) => one !== null)) {
        try {
          deleted += (await post('forget', {browser: token})).deleted;
        } catch (refusal) {
          if (!(refusal instanceof Refusal) || refusal.status !== 409) throw refusal;
          foreign.push(token);
        }
      }
      for (const key of [BROWSER, RECEIPTS, CONSENT, OWN]) write(key, null);
      keep(OLD, foreign.slice(-MOST_OLD));
      window.dispatchEvent(new Event('psr-consent'));
      return {deleted, foreign: foreign.length};
    },

    // How a picture was looked at; zoom is in device pixels per pixel of the picture.
    view: (since, zoom) => ({
      decision_ms: Math.max(0, Math.min(Math.round(performance.now() - since), DAY_MS)),
      viewport: [Math.min(window.innerWidth, 100_000), Math.min(window.innerHeight, 100_000)],
      pixel_ratio: window.devicePixelRatio,
      zoom: Math.round(1000 * Math.min(Math.max(zoom * (window.visualViewport?.scale ?? 1), 0.001), 1000)) / 1000,
    }),

    // Says a state in words: what it is, and what that means.
    said(words, state, keeper, trouble) {
      if (keeper === 'here') return [words.kept, ''];
      if (state === 'saved') return [words.saved, words.saved_more];
      return [words.accepted, trouble ? words.slow_more : words.accepted_more];
    },
    sentence: (words, refusal) => refusal.sentence ?? (refusal.status === 0 ? words.offline : words.broken),
  };
  (async () => {
    await handOver(receipts());
    await ask();
  })();
  return shared;
})();
