const root = element.querySelector('.grade');
const part = (name) => root.querySelector(name);
const all = (name) => [...root.querySelectorAll(name)];
const words = JSON.parse(root.dataset.words);

// open: can be graded. sending: graded. done: accepted. failed: see what is said; retry is what would help, or null.
let phase = 'open', asked = null, shownAt = 0, retry = null;

const say = (...said) => part('.rate-said').replaceChildren(...said.filter(Boolean).map((one, at) => {
  const span = document.createElement(at ? 'span' : 'b');
  span.textContent = one;
  return span;
}));
const agreed = () => ballots.hasConsent() || ballots.hasOwnConsent();
const enter = (next) => {
  phase = root.dataset.phase = next;
  if (next !== 'failed') part('.rate-problem').textContent = '';
  part('.rate-retry').hidden = next !== 'failed' || retry === null;
  const isOpen = next === 'open' || (next === 'failed' && retry === null);
  part('.grade-agree').hidden = agreed() || !isOpen;
  part('.grade-as-rate').hidden = !ballots.hasConsent() || ballots.hasOwnConsent();
  for (const button of all('.vote')) button.setAttribute('aria-disabled', String(!isOpen));
};
const ask = () => {
  if (asked === props.value?.ticket) return;
  asked = props.value?.ticket ?? null;
  root.hidden = asked === null;
  shownAt = performance.now();
  retry = null;
  part('.rate-consent').checked = false;
  for (const button of all('.vote')) button.removeAttribute('aria-pressed');
  say();
  enter('open');
};
const dots = () => {  // device pixels per pixel of the result
  const width = document.querySelector(root.dataset.picture)?.getBoundingClientRect().width;
  return width ? width * window.devicePixelRatio / props.value.width : 1;
};
const send = async (body, name) => {
  const ticket = asked;
  retry = null;
  say(words.sending);
  enter('sending');
  try {
    const accepted = await ballots.post('grade', {browser: ballots.browser(), ...body});
    if (!ballots.hasConsent()) ballots.consentOwn();
    ballots.keepBrowser(accepted.browser);
    if (ticket === asked) enter('done');
    ballots.follow(accepted, (state, keeper, trouble) => {
      if (ticket !== asked) return;
      say(words.thanks.replace('{grade}', name), ballots.said(words, state, keeper ?? root.dataset.keeper, trouble)[0]);
    });
  } catch (refusal) {
    if (!(refusal instanceof ballots.Refusal)) throw refusal;
    if (ticket !== asked) return;
    retry = refusal.isPassing ? () => send(body, name) : null;
    say();
    part('.rate-problem').textContent = ballots.sentence(words, refusal);
    enter('failed');
  }
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button?.matches('.rate-retry')) retry?.();
  if (!button?.matches('.vote') || button.getAttribute('aria-disabled') === 'true') return;
  if (!agreed() && !part('.rate-consent').checked) {
    enter(phase);  // the box is there, also where the consent was taken back in another window
    say(words.tick);
    part('.rate-consent').focus();
    return;
  }
  for (const one of all('.vote')) one.setAttribute('aria-pressed', String(one === button));
  const view = ballots.view(shownAt, dots());
  send({ticket: asked, grade: Number(button.dataset.answer), consent: true, view}, button.lastElementChild.textContent);
});
element.addEventListener('change', () => say());
const lookAgain = () => {  // agreed on another tab of the page, or taken back there
  if (!root.isConnected) return window.removeEventListener('psr-consent', lookAgain);
  if (phase === 'sending') return;
  part('.rate-consent').checked = false;
  enter(phase);
};
window.addEventListener('psr-consent', lookAgain);
watch('value', ask);
ask();
