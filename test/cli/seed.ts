// Fills a schema with workflows in all states, as a busy year would have left them.
import pg from 'pg';

export const SEEDED = 100_000;

/** By `i % 20`: what the i-th workflow is. */
const STATUS = `CASE WHEN i % 20 < 11 THEN 'SUCCESS' WHEN i % 20 < 13 THEN 'ERROR' WHEN i % 20 = 13 THEN 'CANCELLED'
  WHEN i % 20 = 14 THEN 'MAX_RECOVERY_ATTEMPTS_EXCEEDED' WHEN i % 20 = 15 THEN 'ENQUEUED' WHEN i % 20 = 16 THEN 'DELAYED'
  ELSE 'PENDING' END`;

/** Workflows `seeded-0` to `seeded-99999`, the last one the newest. PENDING ones are parked until tomorrow, or blocked. */
export async function seed(url: string, count = SEEDED): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query(
      `INSERT INTO pawl.workflow (id, name, status, fence, nonce, version, attempts, created_at, updated_at, started_at,
         completed_at, wake_at, blocked, queue_name, auth_user, attributes, input, output, error)
       SELECT 'seeded-' || i, (ARRAY['checkout', 'refund', 'sendNewsletterToEverybody'])[1 + i % 3], s.status, 1, 'n' || i,
         'v' || i % 4, CASE WHEN s.status LIKE 'MAX%' THEN 101 ELSE i % 2 END, s.created, s.created,
         CASE WHEN s.status NOT IN ('ENQUEUED', 'DELAYED') THEN s.created END,
         CASE WHEN s.status IN ('SUCCESS', 'ERROR', 'CANCELLED') OR s.status LIKE 'MAX%' THEN s.created + i % 5000 * interval '10 ms' END,
         CASE WHEN s.status = 'PENDING' THEN now() + interval '1 day' END,
         CASE WHEN s.status = 'PENDING' AND i % 20 = 19 THEN 'Step 2 was recorded as "charge" and is now called "pay".' END,
         CASE WHEN s.status IN ('ENQUEUED', 'DELAYED') THEN 'mail' END, CASE WHEN i % 7 = 0 THEN 'ada' END,
         jsonb_build_object('customer', i % 1000), '[{"sku":"widget","amount":' || i || '}]',
         CASE WHEN s.status = 'SUCCESS' THEN '{"shipped":{"$pawl":"Date","v":"2026-01-31T12:00:00.000Z"}}' END,
         CASE WHEN s.status = 'ERROR' THEN
           '{"error":{"class":"Error","name":"Error","message":"card declined","stack":"Error: card declined\\n    at charge (shop.ts:7)"}}' END
       FROM generate_series(0, $1::int - 1) i,
         LATERAL (SELECT ${STATUS} AS status, now() - ($1::int - i) * interval '5 minutes' AS created) s`,
      [count],
    );
    await client.query(
      `INSERT INTO pawl.step (workflow_id, step_id, fence, seq, attempts, started_at, completed_at, kind, name, output)
       SELECT 'seeded-' || i, s, 1, s, 1, now(), now(), 'step', (ARRAY['reserve', 'charge'])[1 + s], '{"ok":true}'
       FROM generate_series(0, $1::int - 1, 4) i, generate_series(0, 1) s WHERE i % 20 <> 16`,
      [count],
    );
    await client.query(
      `INSERT INTO pawl.event (workflow_id, key, seq, created_at, value)
       SELECT 'seeded-' || i, 'progress', s, now(), to_json(s * 50)::text
       FROM generate_series(0, $1::int - 1, 10) i, generate_series(0, 2) s`,
      [count],
    );
    await client.query('COMMIT');
    await client.query('ANALYZE pawl.workflow, pawl.step, pawl.event');
  } finally {
    await client.end();
  }
}
