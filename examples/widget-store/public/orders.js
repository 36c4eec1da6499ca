// The list of orders, kept up to date in place, so that focus and opened journals stay as they are.
import { element, money, time } from './page.js';

const STAGES = ['ordered', 'paid', 'picked', 'packed', 'shipped', 'delivered'];
const LABELS = {
  'awaiting payment': 'Awaiting payment',
  paid: 'On its way',
  delivered: 'Delivered',
  cancelled: 'Cancelled',
};

export function setUpOrders({ list, empty, count, say }) {
  const rows = new Map();

  function show(orders) {
    const highlighted = new URLSearchParams(location.search).get('order');
    for (const [index, order] of orders.entries()) {
      let row = rows.get(order.id);
      if (!row) {
        row = createRow(order, say);
        rows.set(order.id, row);
      }
      if (list.children[index] !== row.item) list.insertBefore(row.item, list.children[index] ?? null);
      row.update(order, order.reference === highlighted);
    }
    for (const [id, row] of rows) {
      if (orders.some((order) => order.id === id)) continue;
      row.item.remove();
      rows.delete(id);
    }
    empty.hidden = orders.length > 0;
    const open = orders.filter(
      (order) => order.status === 'paid' || order.status === 'awaiting payment',
    ).length;
    count.textContent =
      orders.length === 0
        ? ''
        : `${orders.length}${orders.length === 50 ? ' newest' : ''}, ${open} under way`;
  }

  return { show };
}

function createRow(order, say) {
  const chip = element('span', { class: 'chip' });
  const reason = element('span', { class: 'soft reason' });
  const pay = element('button', { class: 'button small', type: 'button' }, 'Pay');
  const journal = element('div', { class: 'journal' });
  const summary = element(
    'summary',
    {},
    'Journal',
    element('span', { class: 'visually-hidden' }, ` of order ${order.reference}`),
  );
  const details = element('details', {}, summary, journal);
  const segments = STAGES.map((stage) => element('li', {}, stage));
  const track = element('ol', { class: 'track', 'aria-label': 'Progress' }, ...segments);
  const item = element(
    'li',
    { class: 'order', 'data-reference': order.reference },
    element(
      'div',
      { class: 'order-line' },
      element('span', { class: 'reference' }, order.reference),
      chip,
      reason,
      element('span', { class: 'when soft' }, time(order.createdAt)),
      element('span', { class: 'amount' }, money(order.priceCents)),
      pay,
    ),
    track,
    details,
  );
  let shown = order;
  let drawn = '';

  pay.addEventListener('click', async () => {
    // The workflow published its payment page as an event; whoever may see the workflow may ask for it.
    const response = await fetch(`/workflows/${encodeURIComponent(order.id)}/events/payment?wait=5`).catch(
      () => null,
    );
    const event = response?.status === 200 ? await response.json() : null;
    if (event) location.assign(event.url);
    else say('bad', 'The payment page cannot be reached right now. Try again in a moment.');
  });
  details.addEventListener('toggle', () => details.open && showJournal(shown, journal));

  function update(next, highlighted) {
    item.classList.toggle('highlighted', highlighted);
    const now = JSON.stringify(next);
    if (now === drawn) return;
    drawn = now;
    shown = next;
    item.dataset.status = next.status;
    chip.textContent =
      next.status === 'paid' && next.stages.length === 0 ? 'Waiting for dispatch' : LABELS[next.status];
    reason.textContent = next.reason ?? '';
    pay.hidden = next.status !== 'awaiting payment';
    track.hidden = next.status === 'cancelled';
    const done =
      { 'awaiting payment': 1, paid: 2, delivered: 2, cancelled: 0 }[next.status] + next.stages.length;
    for (const [index, segment] of segments.entries()) {
      segment.classList.toggle('done', index < done);
      segment.classList.toggle('next', index === done);
      if (index === done) segment.setAttribute('aria-current', 'step');
      else segment.removeAttribute('aria-current');
    }
    if (details.open) void showJournal(shown, journal);
  }

  return { item, update };
}

/** What is recorded of an order: the journals of its checkout and its dispatch. */
async function showJournal(order, container) {
  const shipping = order.status === 'paid' || order.status === 'delivered';
  const [checkout, dispatch] = await Promise.all([
    readSteps(order.id),
    shipping ? readSteps(`${order.id}-dispatch`) : null,
  ]);
  const tables = [];
  if (checkout) tables.push(journalTable('checkout', checkout));
  if (dispatch) tables.push(journalTable('dispatch', dispatch));
  if (tables.length === 0)
    tables.push(element('p', { class: 'soft' }, 'Not to be had while the shop is down.'));
  container.replaceChildren(...tables);
}

async function readSteps(workflowID) {
  const response = await fetch(`/workflows/${encodeURIComponent(workflowID)}/steps`).catch(() => null);
  return response?.ok ? response.json() : null;
}

function journalTable(title, steps) {
  const head = ['#', title, 'recorded', 'took'].map((name) => element('th', { scope: 'col' }, name));
  const rows = steps.map((step) => {
    const took = step.completedAt ? new Date(step.completedAt) - new Date(step.startedAt) : null;
    return element(
      'tr',
      {},
      element('td', {}, String(step.stepID)),
      element(
        'td',
        {},
        step.name,
        element('span', { class: 'kind soft' }, step.kind === step.name ? '' : ` ${step.kind}`),
      ),
      element('td', {}, step.completedAt ? time(step.completedAt) : 'not yet'),
      element('td', {}, took === null ? '…' : took < 1000 ? `${took} ms` : `${(took / 1000).toFixed(1)} s`),
    );
  });
  return element(
    'table',
    {},
    element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...rows),
  );
}
