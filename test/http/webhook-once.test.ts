// Each event once: over deliveries at the same time to two processes, their deaths, and the end of what it set off.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Pawl, PawlClient, type Workflow } from '@pawl/core';
import { pawlExpress, verify } from '@pawl/express';
import { createDatabase, createEmbedded, type TestDatabase } from '@pawl/test-support';
import express from 'express';
import pg from 'pg';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Program, startProgram } from '../processes-suite/process.ts';
import { gate } from './app-under-test.ts';
import type { Receiver } from './processes/receiver.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

interface Event {
  readonly id: string;
  readonly type: string;
  readonly order: string;
}

describe.each(['Postgres', 'PGlite'])('on %s', (kind) => {
  let pawl: Pawl;
  let server: Server;
  let close: () => Promise<void>;
  let sql: (text: string, params?: unknown[]) => Promise<Record<string, unknown>[]>;
  let pay: Workflow<[], unknown>;
  const ran: string[] = [];

  beforeAll(async () => {
    if (kind === 'PGlite') {
      const database = await createEmbedded();
      pawl = new Pawl({ database, logger: silent });
      sql = async (text, params) => (await database.query<Record<string, unknown>>(text, params)).rows;
      close = () => database.close();
    } else {
      const database = await createDatabase();
      const pool = new pg.Pool({ connectionString: database.url, max: 1 });
      pawl = new Pawl({ database: database.url, logger: silent });
      sql = async (text, params) => (await pool.query<Record<string, unknown>>(text, params)).rows;
      close = async () => {
        await pool.end();
        await database.drop();
      };
    }
    pay = pawl.registerWorkflow(() => pawl.recv('paid', 600), { name: 'pay' });
    const react = pawl.registerWorkflow(async ({ order }: Event) => void ran.push(order), { name: 'react' });
    await pawl.launch();
    const webhook = pawlExpress(pawl, { scope: 'global' }).webhook<Event>({
      name: 'once',
      verify: verify.unsafeNone(),
      route: ({ type, data }) =>
        type === 'start'
          ? { start: react, workflowID: data.order }
          : { workflowID: data.order, topic: 'paid' },
    });
    server = createServer(express().post('/', webhook)).listen(0, '127.0.0.1');
  });
  afterAll(async () => {
    server.close();
    await pawl.shutdown({ graceSeconds: 0 });
    await close();
  });

  const deliver = (event: Event) => request(server).post('/').send(event);

  test('an event is known when its workflow, and the message, are long forgotten', async () => {
    await pawl.startWorkflow(pay, { workflowID: 'a' })();
    const paid = { id: 'paid a', type: 'paid', order: 'a' };
    await deliver(paid).expect(202);
    await pawl.retrieveWorkflow('a').getResult();
    const begun = { id: 'start b', type: 'start', order: 'b' };
    await deliver(begun).expect(202);
    await pawl.retrieveWorkflow('b').getResult();
    for (const id of ['a', 'b']) await pawl.deleteWorkflow(id);

    await deliver(paid).expect(200).expect('Webhook-Duplicate', 'true');
    await deliver(begun).expect(200).expect('Webhook-Duplicate', 'true');
    expect(await pawl.getWorkflowStatus('a')).toBeNull();
    expect(await pawl.getWorkflowStatus('b')).toBeNull();
    expect(ran).toEqual(['b']);
  });

  test('for fourteen days, through every sweep; then it is new', async () => {
    const event = { id: 'start c', type: 'start', order: 'c' };
    await deliver(event).expect(202);
    await pawl.retrieveWorkflow('c').getResult();
    await pawl.deleteWorkflow('c');
    const kept = `SELECT extract(epoch FROM expires_at - created_at) / 86400 AS days FROM pawl.http_request ORDER BY created_at DESC`;
    expect((await sql(kept)).map(({ days }) => Number(days))).toContain(14);
    const back = (days: number) =>
      sql(
        `UPDATE pawl.http_request SET created_at = created_at - $1 * interval '1 day',
        completed_at = completed_at - $1 * interval '1 day', expires_at = expires_at - $1 * interval '1 day'`,
        [days],
      );
    await back(13.9);
    await sql('SELECT pawl.http_sweep(1000, NULL)');
    await deliver(event).expect(200).expect('Webhook-Duplicate', 'true');
    await back(0.2);
    await deliver(event).expect(202);
    await pawl.retrieveWorkflow('c').getResult();
    expect(ran.filter((order) => order === 'c')).toHaveLength(2);
    await deliver(event).expect(200).expect('Webhook-Duplicate', 'true');
    await sql('SELECT pawl.http_sweep(1000, NULL)');
    expect(await sql(kept)).toHaveLength(1);
  });

  test('neither the id nor anything of the event is in the table that knows it', async () => {
    await deliver({ id: 'secret-id', type: 'start', order: 'secret-order' }).expect(202);
    const rows = JSON.stringify(await sql('SELECT * FROM pawl.http_request'));
    expect(rows).not.toMatch(/secret/);
  });

  // On the embedded database there is nobody else who could.
  if (kind === 'Postgres')
    test('while somebody holds the workflow for long it is 503 with Retry-After, and delivered in the end, once', async () => {
      await pawl.startWorkflow(pay, { workflowID: 'held' })();
      const [held, letGo] = [gate(), gate()];
      const holding = pawl.runTransaction(async (tx) => {
        await pawl.send('held', 'other', 'other', { transaction: tx });
        held.open();
        await letGo.opened;
      });
      await held.opened;
      const event = { id: 'held', type: 'paid', order: 'held' };
      const refused = await deliver(event).expect(503);
      expect(refused.headers['content-type']).toMatch('application/problem+json');
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      letGo.open();
      await holding;
      // 200 if the first one, too late for its sender, came through after all.
      expect([200, 202]).toContain((await deliver(event)).status);
      expect(await pawl.retrieveWorkflow('held').getResult()).toEqual(event);
      expect(await pawl.listMessages('held')).toHaveLength(2);
    });
});

test('two processes are given each event at the same time, until one of both answers, and die on the way', async () => {
  const EVENTS = Number(process.env['PAWL_WEBHOOK_EVENTS'] ?? 60);
  const directory = mkdtempSync(path.join(tmpdir(), 'pawl-webhooks-'));
  const log = path.join(directory, 'log');
  writeFileSync(log, '');
  const database: TestDatabase = await createDatabase();
  const watcher = new PawlClient({ database: database.url });
  const client = new pg.Client({ connectionString: database.url });
  interface Place {
    program: Program<Receiver>;
    port: number;
  }
  const open = async (): Promise<Place> => {
    const program = await startProgram<Receiver>(new URL('processes/receiver.ts', import.meta.url), {
      ...{ DATABASE: database.url, LOG: log },
    });
    return { program, port: await program.call('ready') };
  };
  const places = await Promise.all([open(), open()]);
  try {
    await client.connect();
    const events = Array.from({ length: EVENTS }, (_, n) => ({
      id: `evt-${n}`,
      type: n % 2 === 0 ? 'paid' : 'start',
      order: `order-${n}`,
    }));
    for (const { type, order } of events)
      if (type === 'paid') await watcher.startWorkflow('pay', { workflowID: order })();
    const accepted = new Map<string, number>();
    const send = async (event: Event, at: 0 | 1): Promise<void> => {
      for (;;) {
        const status = await request(`http://127.0.0.1:${places[at].port}`)
          .post('/webhook')
          .send(event)
          .then(
            (answer) => answer.status,
            () => 0,
          );
        if (status === 202) accepted.set(event.id, (accepted.get(event.id) ?? 0) + 1);
        if (status === 202 || status === 200) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const kill = async (at: 0 | 1): Promise<void> => {
      await places[at].program.kill();
      places[at] = await open();
    };
    const third = Math.floor(EVENTS / 3);
    const parts = [events.slice(0, third), events.slice(third, 2 * third), events.slice(2 * third)];
    for (const [round, part] of parts.entries()) {
      const sending = Promise.all(part.flatMap((event) => [send(event, 0), send(event, 1)]));
      if (round < 2) await kill(round === 0 ? 0 : 1);
      await sending;
    }
    for (const event of events)
      if (event.type === 'paid')
        expect(await watcher.retrieveWorkflow(event.order).getResult()).toEqual(event);
    const { rows } = await client.query<{ n: string }>(
      'SELECT count(*) AS n FROM pawl.message GROUP BY destination',
    );
    expect(rows).toHaveLength(EVENTS / 2);
    expect(new Set(rows.map(({ n }) => Number(n)))).toEqual(new Set([1]));
    // A step is tried at least once: a process may have died in the middle of one. But there is one workflow an event.
    const reactions = await client.query(`SELECT 1 FROM pawl.workflow WHERE name = 'react'`);
    expect(reactions.rowCount).toBe(EVENTS / 2);
    const reacted = () => new Set(readFileSync(log, 'utf8').match(/reacted \S+/g)).size;
    await expect.poll(reacted).toBe(EVENTS / 2);
    for (const count of accepted.values()) expect(count).toBe(1);
  } finally {
    await Promise.all(places.map(({ program }) => program.kill()));
    await watcher.close();
    await client.end();
    await database.drop();
    rmSync(directory, { recursive: true });
  }
}, 120_000);
