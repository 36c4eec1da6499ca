// Starts the shop and starts it again whenever it dies, as systemd or Kubernetes would.
// It keeps the public port, the payment provider and the log, and touches neither workflows nor database.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Activity } from './activity.ts';
import { createFrontDoor } from './front-door.ts';
import { PaymentProvider } from './payments.ts';

const SERVER = process.env['SERVER'] === 'koa' ? 'koa' : 'express';
const HOST = process.env['HOST'] ?? '127.0.0.1';
const PORT = Number(process.env['PORT'] ?? 3000);
const GRACE_MILLISECONDS = 15_000;
const LONGEST_PAUSE_MILLISECONDS = 5_000;

const activity = new Activity();
const secret = randomBytes(32).toString('base64');
let shop: ChildProcess | null = null;
let shopPort: number | null = null;
let stopping = false;
let everReady = false;
let failuresInARow = 0;

const frontDoor = await openFrontDoor();
const { port } = frontDoor.address() as AddressInfo;
const address = `http://${HOST === '127.0.0.1' ? 'localhost' : HOST}:${port}`;
const provider = new PaymentProvider({
  secret,
  webhookURL: `http://127.0.0.1:${port}/webhooks/payments`,
  file: '.pawl-payments.json',
  log: (line) => activity.write('provider', line),
});
provider.start();
startShop();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stop(signal));

function openFrontDoor() {
  const server = createFrontDoor({ activity, provider: () => provider, shopPort: () => shopPort });
  return new Promise<typeof server>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      console.error(`Port ${PORT} is taken. Choose another one: PORT=${PORT + 1} npx pnpm start`);
      process.exit(1);
    });
    server.listen(PORT, HOST, () => resolve(server));
  });
}

function startShop(): void {
  const number = activity.state.process + 1;
  const startedAt = performance.now();
  const entry = fileURLToPath(new URL(`./${SERVER}.js`, import.meta.url));
  const child = spawn(process.execPath, [entry], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: {
      ...process.env,
      HOST: '127.0.0.1',
      PORT: '0',
      PAYMENTS_URL: `http://127.0.0.1:${port}/provider`,
      PAYMENTS_SECRET: `whsec_${secret}`,
    },
  });
  shop = child;
  activity.state = { state: 'starting', process: number, pid: child.pid ?? null };
  activity.write('supervisor', `process ${number} starts, pid ${child.pid}`);
  for (const output of [child.stdout, child.stderr]) {
    if (output) createInterface({ input: output }).on('line', (line) => activity.write('shop', line));
  }

  child.on('message', (message: { port: number }) => {
    shopPort = message.port;
    failuresInARow = 0;
    activity.state = { ...activity.state, state: 'up' };
    activity.write(
      'supervisor',
      `process ${number} is ready after ${Math.round(performance.now() - startedAt)} ms`,
    );
    if (!everReady) {
      const database = process.env['DATABASE_URL'] ? 'Postgres server' : 'embedded Postgres';
      console.log(`\n  Widget store: ${address}   (${SERVER}, ${database}; stop with Ctrl-C)\n`);
    }
    everReady = true;
  });

  // 'close' comes after the last line of output, so the log tells the story in order.
  child.on('close', (code, signal) => {
    shop = null;
    shopPort = null;
    if (stopping) return;
    activity.state = { state: 'down', process: number, pid: null };
    activity.write('supervisor', `process ${number} died: ${signal ?? `exit code ${code}`}`);
    if (!everReady) {
      console.error('The shop did not start; the reason stands above.');
      process.exit(1);
    }
    const pause = Math.min(100 * 2 ** failuresInARow, LONGEST_PAUSE_MILLISECONDS);
    failuresInARow += 1;
    setTimeout(() => stopping || startShop(), pause);
  });
}

async function stop(signal: NodeJS.Signals): Promise<void> {
  if (stopping) process.exit(1); // the second Ctrl-C
  stopping = true;
  provider.stop();
  frontDoor.close();
  if (shop) {
    const closed = new Promise((resolve) => shop?.once('close', resolve));
    shop.kill(signal);
    setTimeout(() => shop?.kill('SIGKILL'), GRACE_MILLISECONDS).unref();
    await closed;
  }
  process.exit(0);
}
