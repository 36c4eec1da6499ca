// Wires the page: two live streams come in (the shop, and the supervisor's log), each part shows its share.
import { setUpBreaking } from './breaking.js';
import { follow } from './live.js';
import { setUpLog } from './log.js';
import { setUpOrders } from './orders.js';
import { byID, money } from './page.js';
import { setUpPurchase, setUpRestock } from './purchase.js';

const GOOD_NEWS_MILLISECONDS = 5000;
const TOOTH_DEGREES = 360 / 16;

const log = setUpLog({ lines: byID('lines'), empty: byID('log-empty') });
const breaking = setUpBreaking({ now: byID('crash-now'), points: byID('points'), armed: byID('armed'), say });
const orders = setUpOrders({
  list: byID('order-list'),
  empty: byID('orders-empty'),
  count: byID('orders-count'),
  say,
});
setUpPurchase({ button: byID('buy'), say });
setUpRestock({ button: byID('restock'), say });

follow('/shop/events', { message: showShop });
follow('/activity', { line: showLine, state: showState }, () => showState({ state: 'gone' }));

function say(tone, text) {
  byID('notice').dataset.tone = tone;
  byID('notice').textContent = text;
}

function showShop({ product, books, orders: all }) {
  byID('price').textContent = money(product.priceCents);
  byID('stock').textContent = product.stock === 0 ? 'sold out' : `${product.stock} in stock`;
  byID('stock').dataset.tone = product.stock === 0 ? 'bad' : product.stock <= 5 ? 'low' : 'plain';
  byID('buy').disabled = product.stock === 0;
  byID('supplied').textContent = books.supplied;
  byID('in-stock').textContent = books.stock;
  byID('ordered').textContent = books.ordered;
  byID('reserved').textContent = books.reserved;
  byID('verdict').textContent = books.reserved < 0 ? 'do not add up' : 'add up';
  byID('books').dataset.tone = books.reserved < 0 ? 'bad' : 'good';
  orders.show(all);
}

let teeth = 0;

/** Each step that is recorded turns the wheel by one tooth. It never turns back. */
function showLine(line, id) {
  if (!log.add(line, id)) return;
  if (line.source !== 'shop' || !/^W-\w+ · /.test(line.text) || /crash|goes on/.test(line.text)) return;
  teeth += 1;
  byID('wheel').style.setProperty('--turn', `${teeth * TOOTH_DEGREES}deg`);
}

let lastState = null;
let goodNews = 0;

function showState(next) {
  const before = lastState;
  lastState = next;
  document.body.dataset.shop = next.state;
  byID('process').dataset.state = next.state;
  byID('process-text').textContent = {
    up: `process ${next.process}`,
    starting: `process ${next.process} starts`,
    down: `process ${next.process} died`,
    gone: 'no connection',
  }[next.state];

  byID('process-pid').textContent = next.state === 'up' ? ` · pid ${next.pid}` : '';

  clearTimeout(goodNews);
  if (next.state !== 'up') breaking.suspend();
  if (next.state === 'up') {
    void breaking.refresh();
    if (!before || before.state === 'up') return banner(null);
    banner('good', `Back: process ${next.process} goes on with every order where it stopped.`);
    goodNews = setTimeout(() => banner(null), GOOD_NEWS_MILLISECONDS);
  } else if (next.state === 'gone') {
    banner('bad', 'Nothing answers at this address. Is the supervisor (pnpm start) still running?');
  } else if (before || next.process > 1) {
    const died = next.state === 'down' ? next.process : next.process - 1;
    banner(
      'bad',
      `The shop is down: process ${died} died. Process ${died + 1} is on its way, and the orders will go on by themselves.`,
    );
  }
}

function banner(tone, text) {
  byID('banner').hidden = tone === null;
  byID('banner').dataset.tone = tone ?? '';
  if (tone) byID('banner-text').textContent = text;
}
