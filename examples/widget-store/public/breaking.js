// The crash buttons: now, or at a chosen moment of a chosen step. Each works once, since it dies with the process.
import { element } from './page.js';

const MOMENTS = ['before', 'during', 'after'];

export function setUpBreaking({ now, points, armed, say }) {
  const buttons = new Map();
  let current = null;

  now.addEventListener('click', () => ask('PUT', '?when=now'));

  async function ask(method, query = '') {
    try {
      const response = await fetch(`/crash${query}`, { method });
      const answer = await response.json();
      if (!response.ok) return; // it died, as it was told to
      if (buttons.size === 0 && answer.points) draw(answer.points);
      show(answer.armed);
    } catch {
      if (method !== 'GET' && query !== '?when=now')
        say('bad', 'The shop does not answer. Try again in a moment.');
    }
  }

  function draw(places) {
    const tables = ['checkout', 'dispatch'].map((workflow) => {
      const rows = places
        .filter((place) => place.workflow === workflow)
        .map(({ step, moments }) =>
          element(
            'tr',
            {},
            element('th', { scope: 'row' }, step),
            ...MOMENTS.map((when) => cell(step, when, moments.includes(when))),
          ),
        );
      const head = ['before', 'during', 'after'].map((when) => element('th', { scope: 'col' }, when));
      return element(
        'table',
        {},
        element('thead', {}, element('tr', {}, element('th', { scope: 'col' }, workflow), ...head)),
        element('tbody', {}, ...rows),
      );
    });
    points.replaceChildren(...tables);
  }

  function cell(step, when, possible) {
    if (!possible) return element('td', {});
    const label = `Crash ${when} ${step}`;
    const button = element('button', {
      type: 'button',
      class: 'point',
      'aria-label': label,
      title: label,
      'aria-pressed': 'false',
    });
    button.addEventListener('click', () => {
      const isArmed = current?.step === step && current?.when === when;
      if (isArmed) void ask('DELETE');
      else void ask('PUT', `?step=${encodeURIComponent(step)}&when=${when}`);
    });
    buttons.set(`${when} ${step}`, button);
    return element('td', {}, button);
  }

  function show(next) {
    current = next;
    for (const [name, button] of buttons) {
      button.setAttribute('aria-pressed', String(next !== null && name === `${next.when} ${next.step}`));
      button.disabled = false;
    }
    now.disabled = false;
    armed.textContent = next ? `Armed: the process dies ${next.when} “${next.step}”, once.` : '';
  }

  /** While there is no process there is none to crash, and what was armed died with it. */
  function suspend() {
    show(null);
    for (const button of [now, ...buttons.values()]) button.disabled = true;
  }

  return { refresh: () => ask('GET'), suspend };
}
