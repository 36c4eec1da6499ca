// The shop on Koa. express.ts is the same shop on Express.
import { Router } from '@koa/router';
import { pawlKoa } from '@pawl/koa';
import Koa from 'koa';
import serveStatic from 'koa-static';
import { crashPoints } from './crash-points.ts';
import { pageDirectory, setPageHeaders } from './page.ts';
import { orderRoute, paymentRoute } from './routes.ts';
import { serve } from './serve.ts';
import { shopNow, watchShop } from './shop-feed.ts';
import { checkout, fillShelf, pawl } from './workflows.ts';

const app = new Koa();
const router = new Router();
const http = pawlKoa(pawl, { scope: 'global' }); // a shop with customers would name the customer here

// The route is the workflow: a retry with the same key joins it and gets its answer, over any number of crashes.
router.post('/orders', http.endpoint(checkout, orderRoute));
router.post('/webhooks/payments', http.webhook(paymentRoute));

// An ordinary handler, made safe to retry by the middleware in front of it: its answer is kept, and a workflow that it
// starts gets its id from the key, so a retry after a crash finds that very workflow again.
router.post('/restock', http.idempotent({ required: true, lease: '2s' }), async (ctx) => {
  ctx.body = await fillShelf(10);
});

router.get('/shop', async (ctx) => {
  ctx.body = await shopNow();
});
router.get('/shop/events', (ctx) => {
  ctx.respond = false;
  watchShop(ctx.res);
});
router.use('/workflows', http.workflows({ authorize: () => true }).routes()); // a demo: everybody may look at every workflow
router.use('/health', http.health().routes());

router.get('/crash', (ctx) => {
  ctx.body = { armed: pawl.armed, points: crashPoints };
});
router.put('/crash', (ctx) => {
  ctx.status = pawl.arm(ctx.query) ? 200 : 400;
  ctx.body = { armed: pawl.armed };
});
router.delete('/crash', (ctx) => {
  pawl.disarm();
  ctx.body = { armed: null };
});

// A page that watched and went away is no error.
app.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') console.error(error);
});
app.use(router.routes()).use(router.allowedMethods());
app.use(serveStatic(pageDirectory, { setHeaders: setPageHeaders }));

await serve(app.callback());
