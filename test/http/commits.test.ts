// What HTTP callers are told is on disk, on a database whose defaults would not wait for that.
import { createServer, type Server } from 'node:http';
import { Pawl } from '@pawl/core';
import { pawlExpress, verify } from '@pawl/express';
import { createDatabase, type TestDatabase } from '@pawl/test-support';
import express from 'express';
import pg from 'pg';
import request from 'supertest';
import { afterAll, beforeAll, expect, test } from 'vitest';

const TABLES = ['http_request', 'workflow', 'step', 'message', 'event', 'hook'];

let database: TestDatabase;
let client: pg.Client;
let pawl: Pawl;
let server: Server;

beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`);
  pawl = new Pawl({ database: database.url });
  const approval = pawl.registerWorkflow(
    async () => {
      await pawl.setEvent('hook', await pawl.createHook('approval'));
      return pawl.recv('approval');
    },
    { name: 'approval' },
  );
  const http = pawlExpress(pawl, { scope: 'global' });
  const app = express();
  app.post('/wrapped', http.idempotent(), (_req, res) => void res.json({ done: true }));
  app.post('/approvals', http.endpoint(approval, { event: 'hook', input: () => undefined as never }));
  app.post(
    '/events',
    http.webhook({
      name: 'events',
      verify: verify.unsafeNone(),
      route: ({ data }) => ({ workflowID: (data as { to: string }).to, topic: 'news' }),
    }),
  );
  app.use('/hooks', http.hooks());
  app.use('/workflows', http.workflows({ authorize: () => true, messages: true }));
  server = createServer(app).listen(0, '127.0.0.1');
  await pawl.launch();
  // A deferred trigger runs with the settings that the COMMIT has.
  await client.query(`CREATE TABLE commits (relation text, setting text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO public.commits VALUES (TG_TABLE_NAME, current_setting('synchronous_commit'));
      RETURN NULL;
    END $$;`);
  for (const table of TABLES)
    await client.query(`CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE ON pawl.${table}
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.note()`);
});

afterAll(async () => {
  server.close();
  await pawl.shutdown({ graceSeconds: 0 });
  await client.end();
  await database.drop();
});

test('keys, webhooks, messages and answers to hooks are committed as if it were on', async () => {
  await request(server).post('/wrapped').set('Idempotency-Key', 'a').send({}).expect(200);
  const asked = await request(server).post('/approvals').set('Idempotency-Key', 'b').send({}).expect(200);
  const { workflows } = await pawl.listWorkflows();
  const id = workflows[0]?.workflowID as string;
  await request(server).post('/events').send({ id: 'event', type: 'news', to: id }).expect(202);
  await request(server).post(`/workflows/${id}/messages/note`).send({ read: 'me' }).expect(202);
  await request(server)
    .post((asked.body as { url: string }).url)
    .send({ yes: true })
    .expect(202);
  expect(await pawl.retrieveWorkflow(id).getResult()).toEqual({ yes: true });
  const { rows } = await client.query<{ relation: string; setting: string }>(
    'SELECT DISTINCT relation, setting FROM commits ORDER BY 1, 2',
  );
  expect(rows).toEqual(TABLES.toSorted().map((relation) => ({ relation, setting: 'on' })));
});
