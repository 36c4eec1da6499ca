// Buying: one click, one key, one order. The key stays in this tab until there is a final answer, so that neither an
// impatient second click, nor a reload, nor a crash of the shop makes a second order.
import { newKey, postUntilAnswered } from './request.js';

const PENDING = 'widget-store.pending-purchase';

export function setUpPurchase({ button, say }) {
  let buying = false;

  async function buy() {
    if (buying) {
      say('busy', 'Your order is already on its way. One click is enough, and two are still one order.');
      return;
    }
    buying = true;
    button.setAttribute('aria-busy', 'true');
    const key = sessionStorage.getItem(PENDING) ?? newKey();
    sessionStorage.setItem(PENDING, key);
    say('busy', 'Placing your order…');

    const answer = await postUntilAnswered('/orders', {
      key,
      body: { product: 'widget' },
      onTrouble: () => say('busy', 'No answer yet. Trying again with the same key, so it stays one order.'),
    });

    sessionStorage.removeItem(PENDING);
    if (answer.ok) {
      say('good', `Order ${answer.body.reference}. On to the payment…`);
      location.assign(answer.body.url);
      return; // still busy, until the payment page is there
    }
    say('bad', answer.body.detail ?? answer.body.title ?? 'The order was refused.');
    done();
  }

  function done() {
    buying = false;
    button.removeAttribute('aria-busy');
  }

  button.addEventListener('click', buy);
  addEventListener('pageshow', (event) => event.persisted && done()); // back from the payment page
  if (sessionStorage.getItem(PENDING)) void buy(); // reloaded in the middle of it
}

export function setUpRestock({ button, say }) {
  let key = null;

  button.addEventListener('click', async () => {
    if (key) return;
    key = newKey();
    button.setAttribute('aria-busy', 'true');
    const onTrouble = () =>
      say('busy', 'No answer yet. Trying again with the same key, so it is ten and not twenty.');
    const answer = await postUntilAnswered('/restock', { key, onTrouble });
    if (answer.ok) say('good', `Ten more on the shelf: ${answer.body.stock} in stock.`);
    else say('bad', answer.body.detail ?? 'The shelf could not be filled.');
    key = null;
    button.removeAttribute('aria-busy');
  });
}
