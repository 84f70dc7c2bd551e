const root = element.querySelector('.rate');
const part = (name) => root.querySelector(name);
const all = (name) => [...root.querySelectorAll(name)];
const words = JSON.parse(root.dataset.words), anchors = root.dataset.anchors.split(' ');
// No key here scrolls up or down: whoever reads on by keyboard must not vote.
const KEYS = {arrowleft: 'left', arrowright: 'right', '=': 'tie', t: 'tie', x: 'both_bad', s: 'skip'};
const OWN_FOCUS = '.rate-trial, .rate-hands, .rate-zoom';  // single keys act with the focus there, or nowhere
const CALM_MS = 400;  // after a vote: the second half of a double click or a held key does nothing
const NARROW_PX = 640, GAP_PX = 12, EDGE_PX = 16, MOST_OF_THE_WINDOW = 0.6;
const SMALLEST = 0.6;  // CSS pixels of a picture's pixel
const ENOUGH = 0.8;  // of a picture, or of the window where a picture is taller
const HINT_MS = 800;  // the page scrolls to the pictures by itself before it asks for that

// intro: nothing is drawn. loading: pictures on their way. unseen: not all were in the window yet. locked: seen, but not
// long enough. open: can be voted on. sending: voted. done: told who made what. failed: see what is said; retry is what would help, or null.
let phase = 'intro', mode = 'pair', turn = 0, retry = null;
let trial = null;  // {ballot, browser, pictures, height, width, unlock_ms, done_today, left_today}
let laid = null;  // {count, height, width} of what the page has room for
let seenAt = 0, votedAt = 0;
let zoom = null, small = 1, large = 1, dots = 1;  // device pixels per pixel of a picture

const shows = () => root.isConnected && root.checkVisibility();
const say = (first, more = '', state = '') => {
  const said = part('.rate-said');
  said.dataset.state = state;
  said.replaceChildren(...[first, more].filter(Boolean).map((one, at) => {
    const span = document.createElement(at ? 'span' : 'b');
    span.textContent = one;
    return span;
  }));
};
const enter = (next) => {
  phase = root.dataset.phase = next;
  const isOpen = next === 'open';
  root.classList.remove('is-hinted');
  for (const button of all('.vote')) button.setAttribute('aria-disabled', String(!isOpen));
  for (const button of all('.rate-modes button')) button.disabled = next === 'sending';
  if (next !== 'failed') part('.rate-problem').textContent = '';
  part('.rate-retry').hidden = next !== 'failed' || retry === null;
  part('.rate-next').hidden = !(next === 'done' || (next === 'failed' && retry === null && trial !== null));
  part('.rate-trial').hidden = next === 'intro' || laid === null;
  for (const answers of all('.rate-answers')) answers.hidden = part('.rate-trial').hidden;
  part('.rate-intro').hidden = next !== 'intro';
  part('.rate-delete').hidden = !ballots.hasVoted() || !part('.rate-sure').hidden;
};
const fail = (sentence, again) => {
  retry = again;
  say('');
  part('.rate-problem').textContent = sentence;
  enter('failed');
};
const refused = (refusal, again) => {
  if (!(refusal instanceof ballots.Refusal)) throw refusal;
  fail(ballots.sentence(words, refusal), refusal.isPassing ? again : null);
};

// --- pictures: every pixel is a whole number of device pixels --------------------------------------------------
const shownFigures = () => all('figure').slice(0, trial.pictures.length);
const fit = () => {
  if (!laid || !shows()) return;
  const {count, height, width} = laid, mat = part('.rate-mat'), style = getComputedStyle(mat);
  const inside = part('.rate-trial').clientWidth, page = document.documentElement.clientWidth - 2 * EDGE_PX;
  const ratio = window.devicePixelRatio, columns = count > 1 && inside >= NARROW_PX ? 2 : 1;
  const around = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight) + (columns - 1) * GAP_PX;
  const tall = (times) => Math.ceil(count / columns) * height * times / ratio;
  const most = Math.floor((Math.max(inside, page) - around) / columns * ratio / width);
  large = Math.max(1, Math.min(2 * Math.round(ratio), most));
  let whole = large;  // the largest at which all can be seen at once
  while (whole > Math.ceil(SMALLEST * ratio) && tall(whole) > MOST_OF_THE_WINDOW * window.innerHeight) whole -= 1;
  small = whole < large ? whole : Math.max(1, Math.min(Math.round(ratio), large));
  dots = zoom === null ? whole : zoom === 'large' ? large : small;
  mat.style.setProperty('--columns', columns);
  mat.style.setProperty('--w', `${width * dots / ratio}px`);
  mat.style.setProperty('--h', `${height * dots / ratio}px`);
  mat.style.setProperty('--out', `${Math.max(0, (columns * width * dots / ratio + around - inside) / 2)}px`);
  part('.rate-zoom').hidden = small === large || part('.rate-trial').hidden;
  part('.rate-zoom span').textContent = dots === large ? words.smaller : words.larger;
};
const magnify = () => {
  if (part('.rate-zoom').hidden) return;
  zoom = dots === large ? 'small' : 'large';
  fit();
};
const bringIntoView = () => {
  const trial = part('.rate-trial'), hands = part('.rate-hands');
  const height = hands.getBoundingClientRect().bottom - trial.getBoundingClientRect().top;
  const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'instant' : 'smooth';
  if (height > window.innerHeight) trial.scrollIntoView({block: 'start', behavior});
  else hands.scrollIntoView({block: 'nearest', behavior});
};
const whenShown = () => new Promise((resolve) => {
  const look = () => (shows() && !document.hidden ? resolve() : setTimeout(look, 200));
  look();
});
const whenSeen = (mine) => new Promise((resolve) => {
  const unseen = new Set(shownFigures().map((figure) => figure.querySelector('.rate-frame')));
  const watch = new IntersectionObserver((entries) => {
    for (const {target, intersectionRatio: share, boundingClientRect: box, rootBounds} of entries) {
      const room = rootBounds?.height ?? screen.availHeight / 2;  // a page inside of another site's is not told
      if (share >= ENOUGH * Math.min(1, room / box.height)) unseen.delete(target);
    }
    if (unseen.size && mine === turn) return;
    watch.disconnect();
    clearTimeout(hint);
    resolve();
  }, {threshold: Array.from({length: 51}, (_, at) => at / 50)});
  const hint = setTimeout(() => {
    if (mine !== turn) return;
    say(trial.pictures.length > 1 ? words.scroll : words.scroll_one);
    root.classList.add('is-hinted');
  }, HINT_MS);
  for (const frame of unseen) watch.observe(frame);
});
const count = () => {
  const {done_today: done, left_today: left} = trial;
  part('.rate-today').textContent = words.today.replace('{done}', done).replace('{total}', done + left);
};

// --- one turn: draw, look, vote, be told ------------------------------------------------------------------------
const draw = async () => {
  const mine = ++turn;
  retry = null;
  for (const image of all('.rate-frame img')) image.removeAttribute('src');
  for (const maker of all('.rate-maker')) maker.replaceChildren();
  for (const button of all('.vote')) button.removeAttribute('aria-pressed');
  for (const name of ['.rate-photo', '.rate-aloud']) part(name).textContent = '';
  say(words.loading);
  enter('loading');
  try {
    const drawn = await ballots.draw(mode);
    if (mine !== turn) return;
    trial = drawn;
    await look(mine);
  } catch (refusal) {
    if (mine !== turn) return;
    trial = null;
    refused(refusal, draw);
  }
};
const look = async (mine) => {
  retry = null;
  say(words.loading);
  part('.rate-mat').dataset.count = trial.pictures.length;
  laid = {count: trial.pictures.length, height: trial.height, width: trial.width};
  enter('loading');
  count();
  fit();
  try {
    await Promise.all(shownFigures().map((figure, at) => {
      const image = figure.querySelector('img');
      image.src = `ratings/${trial.pictures[at]}`;
      return image.decode();
    }));
  } catch {
    if (mine === turn) fail(words.pictures_lost, () => look(mine));
    return;
  }
  await whenShown();
  if (mine !== turn) return;
  fit();
  say(words.look);
  enter('unseen');
  bringIntoView();
  await whenSeen(mine);
  if (mine !== turn) return;
  seenAt = performance.now();
  say(words.look);
  root.style.setProperty('--unlock', `${trial.unlock_ms}ms`);
  enter('locked');
  setTimeout(() => {
    if (mine !== turn) return;
    say(words.ready);
    enter('open');
  }, trial.unlock_ms);
};
const vote = (answer) => {
  if (phase !== 'open') return;
  const {browser, ballot} = trial;
  for (const button of all('.vote')) {
    button.setAttribute('aria-pressed', String(button.dataset.answer === String(answer)));
  }
  send({browser, ballot, answer, consent: true, view: ballots.view(seenAt, dots)});
};
const send = async (body) => {
  retry = null;
  say(words.sending);
  enter('sending');
  try {
    const accepted = await ballots.post('vote', body);
    votedAt = performance.now();
    tell(accepted);
  } catch (refusal) {
    refused(refusal, () => send(body));
  }
};
const tell = (accepted) => {
  const mine = turn;
  trial.done_today += 1;
  trial.left_today = Math.max(0, trial.left_today - 1);
  count();
  part('.rate-photo').textContent = words.photo.replace('{title}', accepted.picture);
  shownFigures().forEach((figure, at) => {
    const id = accepted.ids[at], maker = document.createElement(anchors.includes(id) ? 'span' : 'a');
    maker.textContent = accepted.reveal[at];
    if (maker.matches('a')) Object.assign(maker, {href: `?variant=${encodeURIComponent(id)}`}).dataset.variant = id;
    figure.querySelector('.rate-maker').replaceChildren(maker);
  });
  const reveal = accepted.ids.length > 1 ? words.reveal : words.reveal_one;
  part('.rate-aloud').textContent = accepted.reveal.map((maker, at) => reveal
    .replace('{side}', () => root.dataset.sides[at]).replace('{maker}', () => maker)).join(' ');
  enter('done');
  ballots.follow(accepted, (state, keeper, trouble) => {
    if (mine === turn) say(...ballots.said(words, state, keeper ?? root.dataset.keeper, trouble), state);
  });
};
const focusTrial = () => part('.rate-hands').focus({preventScroll: true});
const canGoOn = () => (phase === 'failed' && retry !== null)
  || (!part('.rate-next').hidden && performance.now() - votedAt >= CALM_MS);
const next = () => {
  if (!canGoOn()) return;
  if (retry) return retry();
  focusTrial();
  draw();
};

// --- before and after --------------------------------------------------------------------------------------------
const start = () => {
  if (phase !== 'intro' && phase !== 'failed') return;
  ballots.consent();
  draw();
  focusTrial();
};
const toIntro = () => {
  turn += 1;
  trial = retry = laid = null;
  part('.rate-zoom').hidden = true;
  for (const name of ['.rate-today', '.rate-photo', '.rate-aloud']) part(name).textContent = '';
  const agrees = ballots.hasConsent();
  part('.rate-consent').checked = agrees;
  part('.rate-start').disabled = !agrees;
  enter('intro');
};
const choose = (chosen) => {
  if (chosen === mode || phase === 'sending') return;
  mode = root.dataset.mode = chosen;
  for (const button of all('.rate-modes button')) {
    button.setAttribute('aria-pressed', String(button.dataset.mode === chosen));
  }
  if (phase === 'intro') return;
  focusTrial();
  draw();
};
const ask = (isAsked) => {
  part('.rate-sure').hidden = !isAsked;
  part('.rate-delete').hidden = isAsked;
  part(isAsked ? '.rate-delete-no' : '.rate-delete').focus();
};
const forget = async () => {
  part('.rate-sure').hidden = true;
  try {
    const {deleted, foreign} = await ballots.forget();
    toIntro();
    if (foreign) part('.rate-problem').textContent = words.foreign.replace('{count}', deleted);
    else say(words.deleted.replace('{count}', deleted));
    part('.rate-consent').focus();
  } catch (refusal) {
    refused(refusal, forget);
  }
};

// --- hands --------------------------------------------------------------------------------------------------------
const PRESSED = {
  '.rate-start': start, '.rate-next': next, '.rate-retry': () => retry?.(), '.rate-zoom': magnify,
  '.rate-delete': () => ask(true), '.rate-delete-no': () => ask(false), '.rate-delete-yes': forget,
};
const answerOf = (word) => (/^[1-5]$/.test(word) ? Number(word) : word);
element.addEventListener('click', (event) => {
  const link = event.target.closest('[data-variant]');
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    trigger('select', {id: link.dataset.variant});
  }
  const button = event.target.closest('button');
  if (!button) return;
  if (button.matches('.vote')) vote(answerOf(button.dataset.answer));
  else if (button.matches('.rate-modes button')) choose(button.dataset.mode);
  else for (const [name, act] of Object.entries(PRESSED)) if (button.matches(name)) act();
});
element.addEventListener('change', (event) => {
  if (event.target.matches('.rate-consent')) part('.rate-start').disabled = !event.target.checked;
});
const press = (event) => {
  if (!element.isConnected) return document.removeEventListener('keydown', press);
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !shows() || phase === 'intro') return;
  const at = event.target, focus = at.closest && at !== document.body ? at : null, key = event.key.toLowerCase();
  if (event.repeat || (focus && !(root.contains(focus) && focus.closest(OWN_FOCUS)))) return;
  const frame = focus?.closest('.rate-frame');
  if (key.startsWith('arrow') && frame && frame.scrollWidth > frame.clientWidth) return;  // moves what is in it
  const isNext = key === 'n' || (key === 'enter' && !focus?.closest('a, button:not([aria-disabled=true])'));
  const answer = mode === 'pair' ? KEYS[key] : /^[1-5]$/.test(key) ? Number(key) : undefined;
  const act = answer !== undefined && phase === 'open' ? () => vote(answer)
    : isNext && canGoOn() ? next
    : key === 'z' && !part('.rate-zoom').hidden ? magnify : null;
  if (!act) return;  // what the key does elsewhere, it does here
  event.preventDefault();
  act();
};
document.addEventListener('keydown', press);
window.addEventListener('online', () => { if (phase === 'failed' && root.isConnected) retry?.(); });
new ResizeObserver(fit).observe(element);
const watchDots = () => {
  matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`).addEventListener('change', () => {
    fit();
    watchDots();
  }, {once: true});
};
watchDots();
toIntro();
