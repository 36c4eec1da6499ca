// The connection is cut at every kind of request, before it reaches the server and after it is done: the answer to a
// COMMIT is lost as well. By hand at each single request, and for a minute at random:
// FAILOVER=long npx vitest run test/failover/cut-off
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Outcome, Shop } from '../crash/processes/shop.ts';
import { type Program, startProgram } from '../processes-suite/process.ts';
import { type Cut, type Proxy, startProxy } from './proxy.ts';

const LONG = process.env['FAILOVER'] === 'long';
const AT_ONCE = 3;
const SHOP = new URL('../crash/processes/shop.ts', import.meta.url);
const directory = mkdtempSync(path.join(tmpdir(), 'pawl-cut-off-'));

interface Place {
  name: string;
  database: TestDatabase;
  proxy: Proxy;
  shop: Program<Shop>;
  log: string;
}

let places: Place[];
let undisturbed: Outcome;
/** How often each kind of request is sent in a run that nobody disturbs; not each run sends all of them. */
const requests = new Map<string, number>();

beforeAll(async () => {
  places = await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => open(`place-${i}`)));
  const [{ proxy, shop }] = places as [Place];
  for (let run = 0; run < 3; run++) {
    const sent = new Map<string, number>();
    proxy.judge = (text) => void sent.set(kindOf(text), (sent.get(kindOf(text)) ?? 0) + 1);
    undisturbed = await shop.call('drive', `undisturbed-${run}`);
    for (const [kind, times] of sent) requests.set(kind, Math.max(times, requests.get(kind) ?? 0));
  }
  proxy.judge = () => undefined;
});

afterAll(async () => {
  await Promise.all(places.map(close));
  rmSync(directory, { recursive: true, force: true });
});

async function open(name: string): Promise<Place> {
  const database = await createDatabase();
  const proxy = await startProxy(database.url);
  const log = path.join(directory, `${name}.log`);
  writeFileSync(log, '');
  const shop = await startProgram<Shop>(SHOP, {
    DATABASE: proxy.url,
    LOG: log,
    PARK_AFTER_SECONDS: '0.03',
  });
  await shop.call('ready');
  return { name, database, proxy, shop, log };
}

async function close({ shop, proxy, database }: Place): Promise<void> {
  await shop.kill();
  await proxy.close();
  await database.drop();
}

/** The function that is called and with which parts, or the first word. */
function kindOf(text: string): string {
  const called = /\."?(\w+)"?\(/.exec(text)?.[1] ?? /^\s*(\w+)/.exec(text)?.[1] ?? '';
  const parts = new Set([...text.matchAll(/\b([a-z])_op =>/g)].map(([, part]) => part));
  return [called, ...parts].join(' ');
}

/** Asks again until there is an answer, as a client has to. */
async function drive({ shop }: Place, row: string): Promise<Outcome> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await shop.call('drive', row);
    } catch (error) {
      if (attempt > 20 || !String(error).includes('DatabaseUnavailableError')) throw error;
    }
  }
}

/** How often each function ran for that row. The process lives, so no step runs twice; a transaction may have to. */
function expectRunOnce({ log }: Place, row: string): void {
  const counts: Record<string, number> = {};
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const [, of, what] = /^(.*):main\S* (.*)$/.exec(line) ?? [];
    if (of === row && what !== undefined) counts[what] = (counts[what] ?? 0) + 1;
  }
  const { pay, ...steps } = counts;
  expect(steps).toEqual({ one: 1, flaky: 2, 'child step': 1 });
  expect(pay).toBeGreaterThanOrEqual(1);
}

test.concurrent('whatever request a connection is lost at, things come out as if it had not been, and once', async () => {
  const cuts = [...requests].flatMap(([kind, times]) =>
    (['before', 'after'] as const).flatMap((when) =>
      Array.from({ length: LONG ? times : 1 }, (_, i) => ({ kind, when, nth: i + 1 })),
    ),
  );
  const reached = new Set<string>();
  const work = async (place: Place): Promise<void> => {
    for (let cut = cuts.shift(); cut !== undefined; cut = cuts.shift()) {
      const { kind, when, nth } = cut;
      // What goes together in a flush is up to the moment, so the request may not come: then once more.
      for (let round = 0; round < 5 && !reached.has(`${kind} ${nth} ${when}`); round++) {
        const row = `${kind} ${nth} ${when} ${round}`.replaceAll(' ', '-');
        let left = nth;
        place.proxy.judge = (text): Cut | undefined => {
          if (kindOf(text) !== kind || --left !== 0) return undefined;
          reached.add(`${kind} ${nth} ${when}`);
          return when;
        };
        expect(await drive(place, row), row).toEqual(undisturbed);
        place.proxy.judge = () => undefined;
        expectRunOnce(place, row);
      }
    }
  };
  const total = cuts.length;
  await Promise.all(places.map(work));
  console.log(`${total} cuts at ${requests.size} kinds of requests: ${[...requests.keys()].join(', ')}`);
  const writes = [
    'flush n',
    'flush_one_step',
    'flush_one_end',
    'flush_one_wait',
    'flush f p',
    'BEGIN',
    'COMMIT',
  ];
  for (const write of writes)
    for (const when of ['before', 'after']) {
      // Alone or, as it happens, with others in one flush.
      const words = [...write.split(' '), when];
      const cut = [...reached].some((each) => words.every((word) => each.split(' ').includes(word)));
      expect(cut, `${write} ${when}`).toBe(true);
    }
}, 120_000);

test.concurrent('of claims that are lost one soon after the other all are found again', async () => {
  const place = await open('claims');
  /** Drives a row whose first claim is lost. */
  const losingClaim = async (row: string): Promise<{ outcome: Promise<Outcome> }> => {
    const lost = new Promise<void>((resolve) => {
      place.proxy.judge = (text) => {
        if (kindOf(text) !== 'claim') return undefined;
        place.proxy.judge = () => undefined;
        resolve();
        return 'after';
      };
    });
    const outcome = drive(place, row);
    await lost;
    return { outcome };
  };
  const first = await losingClaim('first');
  const second = await losingClaim('second');
  const begun = performance.now();
  for (const { outcome } of [first, second]) expect(await outcome).toEqual(undisturbed);
  // By the next tick, and not only when whatever was under way must be through.
  expect(performance.now() - begun).toBeLessThan(5000);
  await close(place);
}, 60_000);

test.concurrent('connections that are lost at random under load spoil nothing', async () => {
  const troubled = await Promise.all([open('random-0'), open('random-1')]);
  let cuts = 0;
  for (const { proxy } of troubled)
    proxy.judge = () => {
      if (Math.random() > 0.02) return undefined;
      cuts++;
      return Math.random() < 0.5 ? 'before' : 'after';
    };
  const end = Date.now() + (LONG ? 60_000 : 2500);
  let rows = 0;
  const work = async (place: Place): Promise<void> => {
    while (Date.now() < end) {
      const row = `random-${place.name}-${rows++}`;
      expect(await drive(place, row), row).toEqual(undisturbed);
      expectRunOnce(place, row);
    }
  };
  await Promise.all([...troubled, ...troubled, ...troubled].map(work));
  await Promise.all(troubled.map(close));
  console.log(`${rows} workflows over ${cuts} lost connections`);
}, 120_000);
