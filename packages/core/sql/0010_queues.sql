-- Queues. A workflow waits as ENQUEUED, or as DELAYED until its time has come; who takes it out makes it PENDING and
-- runs it. It holds a slot of its queue from then until it ends, whoever runs it meanwhile.

-- Limits that are NULL are none.
--   worker_concurrency     at once in one process
--   rate_limit             begun in any rate_period_ms
--   partition_concurrency  at once with one partition key
--   paused                 nothing is taken out; belongs to the operator, not to the definition
--   partition_after        where the next look at more partitions than one look takes begins
CREATE TABLE pawl.queue (
  name                  text COLLATE "C" PRIMARY KEY,
  concurrency           integer,
  worker_concurrency    integer,
  rate_limit            integer,
  rate_period_ms        float8,
  priority_enabled      boolean NOT NULL DEFAULT false,
  partitioned           boolean NOT NULL DEFAULT false,
  partition_concurrency integer,
  paused                boolean NOT NULL DEFAULT false,
  partition_after       text COLLATE "C" NOT NULL DEFAULT '',
  created_at            timestamptz NOT NULL DEFAULT pawl.clock(),
  updated_at            timestamptz NOT NULL DEFAULT pawl.clock()
);

-- How many were begun when, of queues with a rate limit: what is older than the period is of no interest. A thousandth of
-- the period is one row, and counts from its end: so a day of many single starts is no long read, and no window is over.
CREATE TABLE pawl.queue_start (
  queue_name text COLLATE "C" NOT NULL,
  since      timestamptz NOT NULL,
  at         timestamptz NOT NULL,
  count      integer NOT NULL
);
CREATE INDEX queue_start_at ON pawl.queue_start (queue_name, at);

CREATE SEQUENCE pawl.queue_position;

-- Starts that somebody claims: from a queue, after a delay, or (neither) at once. What is not written is answered:
-- unknown-queue, no-partition, not-partitioned, duplicate (output: who has the deduplication id), exists (output: its
-- input, detail: name, parent and fence). The queue is read without a lock: what a change of it means for what waits
-- is up to `dispatch`.
CREATE FUNCTION pawl.flush_enqueues(
  p_bad int[], q_op int[], q_id text[], q_nonce text[], q_fence int[], q_name text[], q_version text[], q_input text[],
  q_queue text[], q_priority int[], q_partition text[], q_dedup text[], q_delay float8[], q_extra text[]
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_result pawl.flush_result;
  v_open integer[];
  -- All of them, as a rule; to look each up in an array of a thousand costs half as much as to insert it.
  v_every boolean := p_bad = '{}';
  v_reserved integer[] := '{}';
  v_count integer;
BEGIN
  SELECT coalesce(array_agg(u.op), '{}') INTO v_open FROM unnest(q_op) u(op) WHERE u.op <> ALL (p_bad);
  -- Each queue once: a batch of a thousand is for one or two.
  IF EXISTS (
    SELECT 1 FROM (SELECT DISTINCT u.queue, u.partition IS NOT NULL AS parted FROM unnest(q_queue, q_partition) u(queue, partition)) d
    LEFT JOIN pawl.queue q ON q.name = d.queue
    WHERE d.queue IS NOT NULL AND (q.name IS NULL OR q.partitioned <> d.parted))
  THEN
    FOR v_result IN
      SELECT u.op,
        CASE WHEN q.name IS NULL THEN 'unknown-queue' WHEN q.partitioned THEN 'no-partition' ELSE 'not-partitioned' END,
        NULL::text, NULL::text, NULL::text, NULL::float8
      FROM unnest(q_op, q_queue, q_partition) u(op, queue, partition) LEFT JOIN pawl.queue q ON q.name = u.queue
      WHERE u.queue IS NOT NULL AND (v_every OR u.op = ANY (v_open))
        AND (q.name IS NULL OR q.partitioned <> (u.partition IS NOT NULL))
    LOOP
      RETURN NEXT v_result;
      v_open := array_remove(v_open, v_result.op);
    END LOOP;
    v_every := cardinality(v_open) = cardinality(q_op);
  END IF;

  -- A large batch of what nobody has, as most are: a look for conflicts in each of the indexes would cost as much again as
  -- the insert. In the order in which the other insert takes them.
  IF v_every AND cardinality(q_op) > 10 AND q_extra = '{}' AND q_delay = '{}' AND q_dedup = '{}'
    AND q_priority = '{}'
  THEN
    BEGIN
      INSERT INTO pawl.workflow (id, name, status, fence, nonce, version, position, queue_name, partition_key,
        created_at, updated_at, wake_at, input)
      SELECT u.id, u.name, CASE WHEN u.queue IS NULL THEN 'PENDING' ELSE 'ENQUEUED' END, u.fence, u.nonce, u.version,
        u.position, u.queue, u.partition, v_now, v_now, CASE WHEN u.queue IS NULL THEN v_now END, u.input
      FROM (
        SELECT r.*, nextval($q$pawl.queue_position$q$) AS position
        FROM unnest(q_op, q_id, q_nonce, q_fence, q_name, q_version, q_input, q_queue, q_partition)
          r(op, id, nonce, fence, name, version, input, queue, partition)
        ORDER BY r.op
      ) u ORDER BY u.queue, u.id, u.op;
      RETURN;
    EXCEPTION WHEN unique_violation THEN
      NULL;
    END;
  END IF;

  -- Whoever has a deduplication id may end between the insert and the look; then there is room after all.
  FOR v_round IN 1..20 LOOP
    INSERT INTO pawl.workflow (id, name, status, fence, nonce, version, priority, rank, position, queue_name,
      partition_key, deduplication_id, created_at, updated_at, wake_at, deadline, timeout_ms, parent_id, input,
      auth_user, auth_roles, attributes, trace_context, watched)
    SELECT u.id, u.name,
      CASE WHEN u.delay > 0 THEN 'DELAYED' WHEN u.queue IS NULL THEN 'PENDING' ELSE 'ENQUEUED' END,
      u.fence, u.nonce, u.version, coalesce(u.priority, 0), u.rank, u.position, u.queue, u.partition, u.dedup, v_now, v_now,
      CASE WHEN u.delay > 0 THEN v_now + u.delay * interval '1 millisecond' WHEN u.queue IS NULL THEN v_now END,
      -- A timeout counts from the start where nothing is to be waited for, else from the claim.
      CASE WHEN u.x ? 'deadline' THEN to_timestamp((u.x ->> 'deadline')::float8 / 1000)
           WHEN u.queue IS NULL AND u.delay IS NULL THEN v_now + (u.x ->> 'timeout')::float8 * interval '1 millisecond' END,
      (u.x ->> 'timeout')::float8, u.x ->> 'parent', u.input, u.x ->> 'user', u.x ->> 'roles', u.x -> 'attributes',
      u.x ->> 'trace', u.op = ANY (v_reserved)
    FROM (
      SELECT r.*, r.extra::jsonb AS x, CASE WHEN q.priority_enabled THEN coalesce(r.priority, 0) ELSE 0 END AS rank,
        -- In the order of the operations, whatever order the rows are inserted in.
        nextval($q$pawl.queue_position$q$) AS position
      FROM unnest(q_op, q_id, q_nonce, q_fence, q_name, q_version, q_input, q_queue, q_priority, q_partition, q_dedup,
        q_delay, q_extra)
        r(op, id, nonce, fence, name, version, input, queue, priority, partition, dedup, delay, extra)
      LEFT JOIN pawl.queue q ON q.name = r.queue
      WHERE v_every OR r.op = ANY (v_open)
      ORDER BY r.op
    ) u
    -- Who asks for the same twice gets it for the first.
    ORDER BY u.queue, u.dedup, CASE WHEN u.dedup IS NULL THEN u.id END, u.op
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count = cardinality(v_open) THEN
      RETURN;
    END IF;

    FOR v_result IN
      SELECT u.op,
        CASE WHEN w.nonce = u.nonce THEN 'written' WHEN w.status <> 'RESERVED' THEN 'exists'
          WHEN d.id IS NOT NULL THEN 'duplicate' ELSE 'reserved' END,
        CASE WHEN w.status <> 'RESERVED' THEN w.input ELSE d.id END, w.status,
        json_build_object('name', w.name, 'parent', w.parent_id, 'fence', w.fence)::text, NULL::float8
      FROM unnest(q_op, q_id, q_nonce, q_queue, q_dedup) u(op, id, nonce, queue, dedup)
      LEFT JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.id])
      LEFT JOIN LATERAL (
        SELECT i.id FROM pawl.workflow i WHERE i.queue_name = u.queue AND i.deduplication_id = u.dedup
          AND i.deduplication_id IS NOT NULL AND i.status IN ('ENQUEUED', 'DELAYED', 'PENDING') LIMIT 1) d ON true
      WHERE (v_every OR u.op = ANY (v_open)) AND (w.id IS NOT NULL OR d.id IS NOT NULL)
      ORDER BY u.op
    LOOP
      IF v_result.outcome = 'reserved' THEN
        -- A placeholder gives way. What is kept for it, and who waits for it, is found under the id.
        DELETE FROM pawl.workflow w USING unnest(q_op, q_id) u(op, id)
        WHERE u.op = v_result.op AND w.id = ANY (ARRAY[u.id]) AND w.status = 'RESERVED';
        v_reserved := v_reserved || v_result.op;
        CONTINUE;
      END IF;
      IF v_result.outcome <> 'written' THEN
        RETURN NEXT v_result;
      END IF;
      -- It gave way for nothing, and is to tell those who wait for the id.
      IF v_result.outcome = 'duplicate' AND v_result.op = ANY (v_reserved) THEN
        INSERT INTO pawl.workflow (id, name, status, nonce, watched, created_at, updated_at)
        SELECT u.id, '', 'RESERVED', '', true, v_now, v_now
        FROM unnest(q_op, q_id) u(op, id) WHERE u.op = v_result.op ON CONFLICT DO NOTHING;
      END IF;
      v_open := array_remove(v_open, v_result.op);
    END LOOP;
    IF v_open = '{}' THEN
      RETURN;
    END IF;
    v_every := false;
  END LOOP;
  RAISE EXCEPTION 'ids of queued workflows keep changing hands' USING ERRCODE = '40001';
END $$;

-- One that is alone in its flush: flush_one_start and its like are in 0006_flush.sql.
CREATE FUNCTION pawl.flush_one_enqueue(
  p_id text, p_nonce text, p_fence integer, p_name text, p_version text, p_input text, p_queue text, p_priority integer,
  p_partition text, p_dedup text, p_delay float8, p_extra text
) RETURNS SETOF pawl.flush_result LANGUAGE sql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
  SELECT * FROM pawl.flush_enqueues('{}', '{0}', ARRAY[p_id], ARRAY[p_nonce], ARRAY[p_fence], ARRAY[p_name],
    ARRAY[p_version], ARRAY[p_input], ARRAY[p_queue], ARRAY[p_priority], ARRAY[p_partition], ARRAY[p_dedup],
    ARRAY[p_delay], ARRAY[p_extra])
$$;

-- Tells something once the caller's transaction has committed: every process that it started something ('q' in a queue, 'r'
-- for whoever comes first), or one executor what it is to look at. From so many transactions at a time: commits that notify
-- wait for each other, the others do not. A transaction that finds no place is answered false, and leaves it to another way:
-- the tick, or a NOTIFY after the commit. So is one while the server's queue of notifications fills up (somebody listens and
-- does not read): a commit would fail for want of room.
CREATE FUNCTION pawl.hint(p_payload text, p_executor bigint DEFAULT NULL, p_places integer DEFAULT 4)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_class integer;
BEGIN
  SELECT ('x' || encode(substr(sha256(convert_to(n.nspname, 'UTF8')), 1, 4), 'hex'))::bit(32)::integer INTO v_class
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $q$pawl.workflow$q$::regclass;
  IF pg_notification_queue_usage() < 0.5 THEN
    -- The numbers of executors are positive.
    FOR v_place IN 1..p_places LOOP
      IF pg_try_advisory_xact_lock(v_class, -v_place) THEN
        PERFORM pg_notify(concat_ws(':', 'pawl', v_class, p_executor), p_payload);
        RETURN true;
      END IF;
    END LOOP;
  END IF;
  RETURN false;
END $$;

-- Starts a workflow from SQL: a trigger, a script, another language. Part of the caller's transaction: the workflow
-- exists if and only if that commits, and runs after it, as a rule at once. `args` is an array of the arguments.
-- The same id twice is one workflow. Raises, and writes nothing, for a queue that does not exist, a deduplication id
-- that is taken (23505), an id that another workflow has (23505).
CREATE FUNCTION pawl.start(
  workflow text, args jsonb DEFAULT '[]', queue text DEFAULT NULL, workflow_id text DEFAULT NULL,
  priority integer DEFAULT NULL, deduplication_id text DEFAULT NULL, partition_key text DEFAULT NULL,
  delay interval DEFAULT NULL
) RETURNS text LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_id text := coalesce(workflow_id, gen_random_uuid()::text);
  v_answer pawl.flush_result;
  v_delay float8 := nullif(extract(epoch FROM delay) * 1000, 0);
BEGIN
  IF coalesce(workflow, '') = '' OR length(v_id) NOT BETWEEN 1 AND 255 THEN
    RAISE EXCEPTION 'start() takes the name of a workflow, and an id of 1 to 255 characters' USING ERRCODE = '22023';
  END IF;
  IF jsonb_typeof(args) IS DISTINCT FROM 'array' THEN
    RAISE EXCEPTION 'args must be a JSON array of the arguments, such as jsonb_build_array(NEW.id)' USING ERRCODE = '22023';
  END IF;
  IF deduplication_id IS NOT NULL AND queue IS NULL OR partition_key IS NOT NULL AND queue IS NULL THEN
    RAISE EXCEPTION 'deduplication_id and partition_key need a queue' USING ERRCODE = '22023';
  END IF;
  IF '' IN (queue, deduplication_id, partition_key) THEN
    RAISE EXCEPTION 'queue, deduplication_id and partition_key must not be empty: leave them out' USING ERRCODE = '22023';
  END IF;
  SELECT * INTO v_answer FROM pawl.flush_enqueues('{}', '{0}', ARRAY[v_id], ARRAY[gen_random_uuid()::text],
    ARRAY[1 + floor(random() * 1000000000)::integer], ARRAY[workflow], '{NULL}', ARRAY[args::text], ARRAY[queue],
    ARRAY[priority], ARRAY[partition_key], ARRAY[deduplication_id], ARRAY[v_delay], '{NULL}');
  CASE coalesce(v_answer.outcome, 'written')
    WHEN 'unknown-queue' THEN
      RAISE EXCEPTION 'queue "%" does not exist', queue
        USING ERRCODE = '22023', HINT = 'Register it with registerQueue() in an application, or check the spelling.';
    WHEN 'no-partition' THEN
      RAISE EXCEPTION 'queue "%" is partitioned: give a partition_key', queue USING ERRCODE = '22023';
    WHEN 'not-partitioned' THEN
      RAISE EXCEPTION 'queue "%" is not partitioned: it takes no partition_key', queue USING ERRCODE = '22023';
    WHEN 'duplicate' THEN
      RAISE EXCEPTION 'queue "%" has an unfinished workflow with deduplication id "%": "%"', queue, deduplication_id,
        v_answer.output USING ERRCODE = '23505';
    WHEN 'exists' THEN
      IF v_answer.detail::json ->> 'name' <> workflow THEN
        RAISE EXCEPTION 'workflow id "%" belongs to a workflow "%"', v_id, v_answer.detail::json ->> 'name'
          USING ERRCODE = '23505';
      END IF;
    ELSE
      IF v_delay IS NULL THEN
        PERFORM pawl.hint(CASE WHEN queue IS NULL THEN 'r' ELSE 'q' END);
      END IF;
  END CASE;
  RETURN v_id;
END $$;

-- Makes queues what they are to be; whether they are paused stays. What waits gets another rank if the priorities begin or
-- cease to count; what comes in at this very moment may keep the old one.
CREATE FUNCTION pawl.define_queues(p_queues jsonb) RETURNS void LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_ranked text[];
BEGIN
  -- Before the queues: `dispatch` has rows that it promoted when it comes to wait for these.
  PERFORM 1 FROM pawl.workflow w
  WHERE w.status IN ('ENQUEUED', 'DELAYED') AND w.priority <> 0 AND w.queue_name IN (
    SELECT q.name FROM jsonb_to_recordset(p_queues) d(name text, priority_enabled boolean)
    JOIN pawl.queue q ON q.name = d.name AND q.priority_enabled <> d.priority_enabled)
  ORDER BY w.id FOR NO KEY UPDATE;
  PERFORM 1 FROM pawl.queue q WHERE q.name IN (SELECT d ->> 'name' FROM jsonb_array_elements(p_queues) d)
  ORDER BY q.name FOR NO KEY UPDATE;
  SELECT array_agg(q.name) INTO v_ranked
  FROM jsonb_to_recordset(p_queues) d(name text, priority_enabled boolean)
  JOIN pawl.queue q ON q.name = d.name AND q.priority_enabled <> d.priority_enabled;
  INSERT INTO pawl.queue AS t (name, concurrency, worker_concurrency, rate_limit, rate_period_ms, priority_enabled,
    partitioned, partition_concurrency)
  SELECT d.* FROM jsonb_to_recordset(p_queues) d(name text, concurrency int, worker_concurrency int, rate_limit int,
    rate_period_ms float8, priority_enabled boolean, partitioned boolean, partition_concurrency int)
  ORDER BY d.name
  ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency, worker_concurrency = excluded.worker_concurrency,
    rate_limit = excluded.rate_limit, rate_period_ms = excluded.rate_period_ms,
    priority_enabled = excluded.priority_enabled, partitioned = excluded.partitioned,
    partition_concurrency = excluded.partition_concurrency, updated_at = pawl.clock()
  WHERE (t.concurrency, t.worker_concurrency, t.rate_limit, t.rate_period_ms, t.priority_enabled, t.partitioned,
      t.partition_concurrency)
    IS DISTINCT FROM (excluded.concurrency, excluded.worker_concurrency, excluded.rate_limit, excluded.rate_period_ms,
      excluded.priority_enabled, excluded.partitioned, excluded.partition_concurrency);
  IF v_ranked IS NOT NULL THEN
    UPDATE pawl.workflow w SET rank = CASE WHEN q.priority_enabled THEN w.priority ELSE 0 END
    FROM pawl.queue q
    WHERE q.name = ANY (v_ranked) AND w.queue_name = q.name AND w.status IN ('ENQUEUED', 'DELAYED') AND w.priority <> 0;
  END IF;
END $$;

-- Both: false if there is no such workflow; one that waits no longer is left alone.
CREATE FUNCTION pawl.set_priority(p_id text, p_priority integer) RETURNS boolean LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off AS $$
BEGIN
  UPDATE pawl.workflow w
  SET priority = p_priority, updated_at = pawl.clock(),
    rank = CASE WHEN (SELECT q.priority_enabled FROM pawl.queue q WHERE q.name = w.queue_name) THEN p_priority ELSE 0 END
  WHERE w.id = p_id AND (w.status IN ('ENQUEUED', 'DELAYED')) IS TRUE;
  RETURN FOUND OR EXISTS (SELECT 1 FROM pawl.workflow w WHERE w.id = p_id AND w.status <> 'RESERVED');
END $$;

CREATE FUNCTION pawl.set_delay(p_id text, p_ms float8) RETURNS boolean LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off AS $$
BEGIN
  UPDATE pawl.workflow w
  SET status = 'DELAYED', wake_at = pawl.clock() + p_ms * interval '1 millisecond', updated_at = pawl.clock()
  WHERE w.id = p_id AND (w.status IN ('ENQUEUED', 'DELAYED')) IS TRUE;
  RETURN FOUND OR EXISTS (SELECT 1 FROM pawl.workflow w WHERE w.id = p_id AND w.status <> 'RESERVED');
END $$;
