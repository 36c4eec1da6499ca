// The log: what the processes of the shop, the supervisor and the payment provider said, in order.
import { element, time } from './page.js';

const KEPT = 400;

export function setUpLog({ lines, empty }) {
  const seen = new Set();

  function add(line, id) {
    if (seen.has(id)) return false;
    seen.add(id);
    const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
    const who = line.source === 'shop' ? `process ${line.process}` : line.source;
    lines.append(
      element(
        'li',
        { 'data-source': line.source, 'data-turn': String(line.process % 4), 'data-tone': toneOf(line) },
        element('time', { datetime: line.at }, time(line.at)),
        element('span', { class: 'who' }, who),
        element('span', { class: 'what' }, line.text),
      ),
    );
    if (lines.children.length > KEPT) lines.firstChild.remove();
    if (atEnd) lines.scrollTop = lines.scrollHeight;
    empty.hidden = true;
    return true;
  }

  return { add };
}

function toneOf({ text }) {
  if (/\bdied\b|\bcrash\b/.test(text)) return 'bad';
  if (/is ready|goes on/.test(text)) return 'good';
  return 'plain';
}
