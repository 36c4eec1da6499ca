// The life of a hook: crashes around its making, a workflow that has left memory or whose process is dead, and time.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type HookRejectedError, InStepError, NotInWorkflowError, Pawl, ValidationError } from '@pawl/core';
import { type CrashMoment, exportHistory, replay, TestClock } from '@pawl/core/testing';
import { bodyParser } from '@koa/bodyparser';
import KoaRouter from '@koa/router';
import { pawlExpress } from '@pawl/express';
import { pawlKoa } from '@pawl/koa';
import { createDatabase, createEmbedded, type TestDatabase } from '@pawl/test-support';
import express from 'express';
import Koa from 'koa';
import pg from 'pg';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Program, startProgram } from '../processes-suite/process.ts';
import type { Receiver } from './processes/receiver.ts';

const silent = { debug() {}, info() {}, warn() {}, error() {} };

function serveHooks(pawl: Pawl): Server {
  return createServer(express().use('/hooks', pawlExpress(pawl, { scope: 'global' }).hooks())).listen(
    0,
    '127.0.0.1',
  );
}

describe('when processes die', () => {
  let database: TestDatabase;
  let client: pg.Client;
  /** Answers, and runs nothing. */
  let desk: Pawl;
  let server: Server;
  const directory = mkdtempSync(path.join(tmpdir(), 'pawl-hooks-'));
  const log = path.join(directory, 'log');
  const programs: Program<Receiver>[] = [];

  beforeAll(async () => {
    writeFileSync(log, '');
    database = await createDatabase();
    desk = new Pawl({ database: database.url, logger: silent });
    await desk.launch();
    server = serveHooks(desk);
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    for (const program of programs) await program.kill();
    server.close();
    await desk.shutdown({ graceSeconds: 0 });
    await client.end();
    await database.drop();
    rmSync(directory, { recursive: true });
  });

  async function start(crash?: object): Promise<Program<Receiver>> {
    const env = { DATABASE: database.url, LOG: log, CRASH: crash === undefined ? '' : JSON.stringify(crash) };
    const program = await startProgram<Receiver>(new URL('processes/receiver.ts', import.meta.url), env);
    programs.push(program);
    await program.call('ready');
    return program;
  }

  const mailed = (id: string): string[] =>
    readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith(`${id} `))
      .map((line) => line.slice(id.length + 1));
  const recorded = async (id: string): Promise<string[]> => {
    const { rows } = await client.query<{ output: string }>(
      `SELECT output FROM pawl.step WHERE workflow_id = $1 AND kind = 'createHook'`,
      [id],
    );
    return rows.map(({ output }) => (JSON.parse(output) as { token: string }).token);
  };

  test.each<[CrashMoment, string, number]>([
    ['before-commit', 'createHook', 0],
    ['commit-unanswered', 'createHook', 1],
    ['after-commit', 'createHook', 1],
    ['after-commit', 'mail', 1],
  ])('%s of %s: one hook, one token, which is the one that was mailed', async (when, what, known) => {
    const id = `${when}-${what}`;
    const point = what === 'mail' ? { when, kind: 'step', name: 'mail' } : { when, kind: what };
    const first = await start(point);
    await first.call('ask', id).catch(() => undefined);
    expect(await first.ended).toBe('SIGKILL');
    const before = await recorded(id);
    // A commit that was sent may or may not have come through.
    if (when !== 'commit-unanswered') expect(before).toHaveLength(known);
    // The process that shall go on is not there yet, but whoever has the URL can answer.
    if (what === 'mail')
      await request(server)
        .post(`/hooks/${mailed(id)[0]}`)
        .send({ by: id })
        .expect(202);

    const second = await start();
    await expect.poll(() => mailed(id)).toHaveLength(1);
    const token = mailed(id)[0] as string;
    expect(await recorded(id)).toEqual([token]);
    if (before.length > 0) expect(before).toEqual([token]);
    await request(server).post(`/hooks/${token}`).send({ by: id }).expect(202);
    expect(await desk.retrieveWorkflow(id).getResult()).toEqual({ by: id });
    const { rows } = await client.query('SELECT topic FROM pawl.hook WHERE workflow_id = $1', [id]);
    expect(rows).toEqual([{ topic: 'approval' }]);
    await second.kill();
  });
});

describe.each(['Postgres', 'PGlite'])('on %s', (kind) => {
  let pawl: Pawl;
  let server: Server;
  let clock: TestClock;
  let close: () => Promise<void>;

  const define = (on: Pawl) => ({
    ask: on.registerWorkflow(
      async (topic: string, ttl?: '1h') => {
        const hook = await on.createHook(topic, ttl === undefined ? undefined : { ttl });
        await on.setEvent('hook', hook);
        try {
          return await on.recv<unknown>(topic, Infinity);
        } catch (error) {
          return `${(error as Error).name}: ${String((error as HookRejectedError).reason)}`;
        }
      },
      { name: 'ask' },
    ),
    wrong: on.registerWorkflow(
      async (how: string) => {
        if (how === 'step') return on.runStep(() => on.createHook('t'));
        return on.createHook(how === 'topic' ? '' : 't', how === 'ttl' ? { ttl: -1 } : {});
      },
      { name: 'wrong' },
    ),
  });
  let own: ReturnType<typeof define>;

  beforeAll(async () => {
    if (kind === 'PGlite') {
      const database = await createEmbedded();
      pawl = new Pawl({ database, logger: silent, parkAfterSeconds: 0 });
      close = () => database.close();
    } else {
      const database = await createDatabase();
      pawl = new Pawl({ database: database.url, logger: silent, parkAfterSeconds: 0 });
      close = () => database.drop();
    }
    own = define(pawl);
    await pawl.launch();
    clock = new TestClock(pawl);
    server = serveHooks(pawl);
  });
  afterAll(async () => {
    server.close();
    await pawl.shutdown({ graceSeconds: 0 });
    await close();
  });

  const asked = async (workflowID: string, ...args: [topic: string, ttl?: '1h']): Promise<string> => {
    await pawl.startWorkflow(own.ask, { workflowID })(...args);
    return (await pawl.getEvent<{ url: string }>(workflowID, 'hook'))?.url as string;
  };
  const post = (url: string) => request(server).post(url);
  const result = (id: string) => pawl.retrieveWorkflow(id).getResult();
  const parked = async (id: string) => (await pawl.getWorkflowStatus(id))?.parked;

  test('a workflow that has left memory comes back for an answer, and for a refusal', async () => {
    const [yes, no] = [await asked('yes', 'a'), await asked('no', 'b')];
    await expect.poll(() => Promise.all(['yes', 'no'].map(parked))).toEqual([true, true]);
    await post(yes).send({ ok: true }).expect(202);
    await post(`${no}/reject`).type('text').send('too expensive').expect(202);
    expect(await result('yes')).toEqual({ ok: true });
    expect(await result('no')).toBe('HookRejectedError: too expensive');
  });

  test('the ttl is by the clock of the database; an answer in time stays one', async () => {
    const [late, intime, forever] = [
      await asked('late', 'a', '1h'),
      await asked('in time', 'a', '1h'),
      await asked('forever', 'a'),
    ];
    await clock.advance('59m');
    await post(intime).send({ n: 1 }).expect(202);
    await clock.advance('2m');
    const expired = await post(late).send({ n: 1 }).expect(404);
    const unknown = await post('/hooks/unknown').send({ n: 1 }).expect(404);
    expect(expired.text).toBe(unknown.text);
    await post(`${late}/reject`).expect(404);
    await post(intime).send({ n: 1 }).expect(202).expect('Idempotent-Replayed', 'true');
    await post(intime).send({ n: 2 }).expect(409);
    await clock.advance('1d');
    await post(forever).send({ n: 2 }).expect(202);
    expect(await Promise.all(['in time', 'forever'].map(result))).toEqual([{ n: 1 }, { n: 2 }]);
    await pawl.cancelWorkflow('late');
    await clock.reset();
  });

  test('several hooks of one workflow, and of one topic, are each answered once', async () => {
    const both = pawl.registerWorkflow(
      async () => {
        const hooks = await Promise.all([pawl.createHook('t'), pawl.createHook('t'), pawl.createHook('u')]);
        await pawl.setEvent('hooks', hooks);
        return [await pawl.recv('t', 600), await pawl.recv('t', 600), await pawl.recv('u', 600)];
      },
      { name: 'both' },
    );
    const { workflowID } = await pawl.startWorkflow(both)();
    const hooks = await pawl.getEvent<{ url: string }[]>(workflowID, 'hooks');
    const urls = (hooks ?? []).map(({ url }) => url);
    expect(new Set(urls).size).toBe(3);
    for (const [n, url] of [...urls.entries()].toReversed()) await post(url).send({ n }).expect(202);
    expect(await result(workflowID)).toEqual([{ n: 1 }, { n: 0 }, { n: 2 }]);
  });

  test('a resume makes a cancelled workflow answerable again; a hook goes with its workflow', async () => {
    const url = await asked('resumed', 'a');
    await pawl.cancelWorkflow('resumed');
    await post(url).send({ n: 1 }).expect(404);
    await pawl.resumeWorkflow('resumed');
    await post(url).send({ n: 1 }).expect(202);
    expect(await result('resumed')).toEqual({ n: 1 });
    await post(url).send({ n: 1 }).expect(202);
    await pawl.deleteWorkflow('resumed');
    await post(url).send({ n: 1 }).expect(404);
  });

  test('behind a body parser, and in a nested router of Koa, it is the same', async () => {
    const parse = [express.json(), express.urlencoded({ extended: false })];
    const onExpress = express().use(parse, pawlExpress(pawl, { scope: 'global' }).hooks());
    const nested = new KoaRouter();
    nested.use('/hooks', pawlKoa(pawl, { scope: 'global' }).hooks().routes());
    const onKoa = new Koa().use(bodyParser()).use(nested.routes()).callback();
    for (const [name, app] of [['express', onExpress] as const, ['koa', onKoa] as const]) {
      const [yes, no] = [await asked(`${name} yes`, 'a'), await asked(`${name} no`, 'a')];
      await request(app).post(yes).send({ n: 1 }).expect(202);
      await request(app).post(yes).send({ n: 1 }).expect(202).expect('Idempotent-Replayed', 'true');
      await request(app).post(`${no}/reject`).type('form').send({ n: 1 }).expect(202);
      await request(app).get(no).expect(405);
      await request(app).post('/hooks/unknown').send({}).expect(404);
      expect(await result(`${name} yes`)).toEqual({ n: 1 });
      expect(await result(`${name} no`)).toBe('HookRejectedError: [object Object]');
    }
  });

  test('an exported history has no token, and replays', async () => {
    const url = await asked('history', 'a');
    await post(url).send({ n: 1 }).expect(202);
    await result('history');
    const history = await exportHistory(pawl, 'history');
    const made = history.steps.find((step) => step.kind === 'createHook');
    expect(made?.output).not.toContain(url.slice('/hooks/'.length));
    const elsewhere = new Pawl({ logger: silent });
    await replay(history, define(elsewhere).ask);
  });

  test('it is a verb of workflows, outside of steps, and checks what it is given', async () => {
    await expect(pawl.createHook('t')).rejects.toThrow(NotInWorkflowError);
    await expect(own.wrong('step')).rejects.toThrow(InStepError);
    await expect(own.wrong('topic')).rejects.toThrow(ValidationError);
    await expect(own.wrong('ttl')).rejects.toThrow(/ttl of createHook/);
  });
});
