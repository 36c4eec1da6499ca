// The shop on Express. koa.ts is the same shop on Koa.
import { pawlExpress } from '@pawl/express';
import express from 'express';
import { crashPoints } from './crash-points.ts';
import { pageDirectory, setPageHeaders } from './page.ts';
import { orderRoute, paymentRoute } from './routes.ts';
import { serve } from './serve.ts';
import { shopNow, watchShop } from './shop-feed.ts';
import { checkout, fillShelf, pawl } from './workflows.ts';

const app = express();
const http = pawlExpress(pawl, { scope: 'global' }); // a shop with customers would name the customer here

// The route is the workflow: a retry with the same key joins it and gets its answer, over any number of crashes.
app.post('/orders', http.endpoint(checkout, orderRoute));
app.post('/webhooks/payments', http.webhook(paymentRoute));

// An ordinary handler, made safe to retry by the middleware in front of it: its answer is kept, and a workflow that it
// starts gets its id from the key, so a retry after a crash finds that very workflow again.
app.post('/restock', http.idempotent({ required: true, lease: '2s' }), async (_req, res) => {
  res.json(await fillShelf(10));
});

app.get('/shop', async (_req, res) => res.json(await shopNow()));
app.get('/shop/events', (_req, res) => watchShop(res));
app.use('/workflows', http.workflows({ authorize: () => true })); // a demo: everybody may look at every workflow
app.use('/health', http.health());

app.get('/crash', (_req, res) => res.json({ armed: pawl.armed, points: crashPoints }));
app.put('/crash', (req, res) => {
  const known = pawl.arm(req.query);
  res.status(known ? 200 : 400).json({ armed: pawl.armed });
});
app.delete('/crash', (_req, res) => {
  pawl.disarm();
  res.json({ armed: null });
});

app.use(express.static(pageDirectory, { setHeaders: setPageHeaders }));

await serve(app);
