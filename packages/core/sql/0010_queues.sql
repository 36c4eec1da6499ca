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

-- How many were begun when, of queues with a rate limit: what is older than the period is of no interest.
CREATE TABLE pawl.queue_start (
  queue_name text COLLATE "C" NOT NULL,
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
  v_reserved integer[] := '{}';
  v_count integer;
BEGIN
  SELECT coalesce(array_agg(u.op), '{}') INTO v_open FROM unnest(q_op) u(op) WHERE u.op <> ALL (p_bad);
  FOR v_result IN
    SELECT u.op,
      CASE WHEN q.name IS NULL THEN 'unknown-queue' WHEN q.partitioned THEN 'no-partition' ELSE 'not-partitioned' END,
      NULL::text, NULL::text, NULL::text, NULL::float8
    FROM unnest(q_op, q_queue, q_partition) u(op, queue, partition) LEFT JOIN pawl.queue q ON q.name = u.queue
    WHERE u.queue IS NOT NULL AND u.op = ANY (v_open)
      AND (q.name IS NULL OR q.partitioned <> (u.partition IS NOT NULL))
  LOOP
    RETURN NEXT v_result;
    v_open := array_remove(v_open, v_result.op);
  END LOOP;

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
      WHERE r.op = ANY (v_open)
      ORDER BY r.op
    ) u
    ORDER BY u.queue, u.dedup, u.id, u.op
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
      LEFT JOIN pawl.workflow w ON w.id = u.id
      LEFT JOIN LATERAL (
        SELECT i.id FROM pawl.workflow i WHERE i.queue_name = u.queue AND i.deduplication_id = u.dedup
          AND i.deduplication_id IS NOT NULL AND i.status IN ('ENQUEUED', 'DELAYED', 'PENDING') LIMIT 1) d ON true
      WHERE u.op = ANY (v_open) AND (w.id IS NOT NULL OR d.id IS NOT NULL)
      ORDER BY u.op
    LOOP
      IF v_result.outcome = 'reserved' THEN
        -- A placeholder gives way. What is kept for it, and who waits for it, is found under the id.
        DELETE FROM pawl.workflow w USING unnest(q_op, q_id) u(op, id)
        WHERE u.op = v_result.op AND w.id = u.id AND w.status = 'RESERVED';
        v_reserved := v_reserved || v_result.op;
        CONTINUE;
      END IF;
      IF v_result.outcome <> 'written' THEN
        RETURN NEXT v_result;
      END IF;
      v_open := array_remove(v_open, v_result.op);
    END LOOP;
    IF v_open = '{}' THEN
      RETURN;
    END IF;
  END LOOP;
  RAISE EXCEPTION 'ids of queued workflows keep changing hands' USING ERRCODE = '40001';
END $$;

-- What is delayed no longer: into its queue, behind those that are there; without a queue it is due. True for the latter.
CREATE FUNCTION pawl.promote(p_limit integer) RETURNS boolean LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_ids text[];
BEGIN
  SELECT array_agg(d.id ORDER BY d.wake_at, d.position) INTO v_ids FROM (
    SELECT w.id, w.wake_at, w.position FROM pawl.workflow w WHERE w.status = 'DELAYED' AND w.wake_at <= v_now
    ORDER BY w.wake_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED) d;
  IF v_ids IS NULL THEN
    RETURN false;
  END IF;
  UPDATE pawl.workflow w
  SET status = CASE WHEN w.queue_name IS NULL THEN 'PENDING' ELSE 'ENQUEUED' END,
    wake_at = CASE WHEN w.queue_name IS NULL THEN v_now END, position = u.position, updated_at = v_now
  FROM (SELECT i.id, nextval($q$pawl.queue_position$q$) AS position FROM unnest(v_ids) i(id)) u
  WHERE w.id = u.id;
  RETURN EXISTS (SELECT 1 FROM pawl.workflow w WHERE w.id = ANY (v_ids) AND w.queue_name IS NULL);
END $$;

-- How many of a queue may be begun now, whoever asks; NULL: no limit. The caller holds the queue's row, so that no
-- other claim comes in between. p_next: when there will be more, if it is a matter of time.
CREATE FUNCTION pawl.queue_room(q pawl.queue, p_now timestamptz, OUT room integer, OUT next_at timestamptz)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_recent integer;
BEGIN
  IF q.concurrency IS NOT NULL THEN
    SELECT q.concurrency - count(*) INTO room FROM (
      SELECT 1 FROM pawl.workflow w WHERE w.status = 'PENDING' AND w.queue_name = q.name LIMIT q.concurrency) h;
  END IF;
  IF q.rate_limit IS NOT NULL THEN
    DELETE FROM pawl.queue_start s
    WHERE s.queue_name = q.name AND s.at <= p_now - q.rate_period_ms * interval '1 millisecond';
    SELECT sum(s.count), min(s.at) + q.rate_period_ms * interval '1 millisecond' INTO v_recent, next_at
    FROM pawl.queue_start s WHERE s.queue_name = q.name;
    room := least(room, q.rate_limit - coalesce(v_recent, 0));
  END IF;
  room := greatest(room, 0);
END $$;

-- The next p_limit of a queue that the caller serves, in the order in which they are to be begun, and locked: by rank
-- and position; partitions in turn, each up to its own limit. The caller holds the queue's row if it has partitions.
-- Rows that waited when the definition was another one come out too.
CREATE FUNCTION pawl.queue_head(
  q pawl.queue, p_limit integer, p_names text[], p_versions text[], p_any_version boolean
) RETURNS text[] LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off AS $$
DECLARE
  v_ids text[];
  v_keys text[];
  v_each integer;
  v_found text[];
  v_last text;
BEGIN
  SELECT coalesce(array_agg(h.id), '{}') INTO v_ids FROM (
    SELECT w.id FROM pawl.workflow w
    WHERE w.status = 'ENQUEUED' AND w.queue_name = q.name AND w.partition_key IS NULL
      AND w.name = ANY (p_names) AND (p_any_version OR w.version IS NULL
        OR (w.name, w.version) IN (SELECT r.name, r.version FROM unnest(p_names, p_versions) r(name, version)))
    ORDER BY w.rank, w.position LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED) h;
  p_limit := p_limit - cardinality(v_ids);
  IF p_limit = 0 OR NOT q.partitioned AND (
    SELECT true FROM pawl.workflow w WHERE w.status = 'ENQUEUED' AND w.queue_name = q.name AND w.partition_key > '' LIMIT 1
  ) IS NULL THEN
    RETURN v_ids;
  END IF;

  -- The partitions in which something waits, from where the last look ended, one probe of the index each.
  WITH RECURSIVE key AS (
    SELECT pawl.next_partition(q.name, q.partition_after) AS key, 1 AS n
    UNION ALL
    SELECT pawl.next_partition(q.name, k.key), k.n + 1 FROM key k WHERE k.key IS NOT NULL AND k.n < 500
  ), wrapped AS (
    SELECT pawl.next_partition(q.name, '') AS key, 1 AS n
    UNION ALL
    SELECT pawl.next_partition(q.name, k.key), k.n + 1 FROM wrapped k WHERE k.key <= q.partition_after AND k.n < 500
  )
  SELECT array_agg(a.key ORDER BY a.part, a.n) INTO v_keys FROM (
    SELECT k.key, 0 AS part, k.n FROM key k WHERE k.key IS NOT NULL
    UNION ALL SELECT k.key, 1, k.n FROM wrapped k WHERE k.key <= q.partition_after LIMIT 500) a;
  IF v_keys IS NULL THEN
    RETURN v_ids;
  END IF;
  v_each := ceil(p_limit::float8 / cardinality(v_keys));
  SELECT array_agg(c.id ORDER BY c.turn, c.n) INTO v_found FROM (
    SELECT h.id, h.turn, k.n
    FROM unnest(v_keys) WITH ORDINALITY k(key, n)
    CROSS JOIN LATERAL (
      SELECT greatest(0, least(v_each, q.partition_concurrency - (
        SELECT count(*) FROM (
          SELECT 1 FROM pawl.workflow w WHERE w.status = 'PENDING' AND w.queue_name = q.name AND w.partition_key = k.key
          LIMIT q.partition_concurrency) p)))::integer AS room OFFSET 0) r
    CROSS JOIN LATERAL (
      SELECT w.id, row_number() OVER (ORDER BY w.rank, w.position) AS turn FROM pawl.workflow w
      WHERE w.status = 'ENQUEUED' AND w.queue_name = q.name AND w.partition_key = k.key
        AND w.name = ANY (p_names) AND (p_any_version OR w.version IS NULL
          OR (w.name, w.version) IN (SELECT r.name, r.version FROM unnest(p_names, p_versions) r(name, version)))
      ORDER BY w.rank, w.position LIMIT r.room) h
    ORDER BY h.turn, k.n LIMIT p_limit) c;
  SELECT coalesce(array_agg(l.id ORDER BY f.n), '{}'), (array_agg(l.partition_key ORDER BY f.n DESC))[1] INTO v_found, v_last
  FROM unnest(v_found) WITH ORDINALITY f(id, n)
  CROSS JOIN LATERAL (
    SELECT w.id, w.partition_key FROM pawl.workflow w WHERE w.id = f.id AND (w.status = 'ENQUEUED') IS TRUE
    FOR NO KEY UPDATE SKIP LOCKED) l;
  UPDATE pawl.queue t SET partition_after = coalesce(v_last, v_keys[cardinality(v_keys)])
  WHERE t.name = q.name AND t.partition_after <> coalesce(v_last, v_keys[cardinality(v_keys)]);
  RETURN v_ids || v_found;
END $$;

-- The next key after one, of those in which something waits.
CREATE FUNCTION pawl.next_partition(p_queue text, p_after text) RETURNS text LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
  SELECT w.partition_key FROM pawl.workflow w
  WHERE w.status = 'ENQUEUED' AND w.queue_name = p_queue AND w.partition_key > p_after ORDER BY w.partition_key LIMIT 1
$$;

-- Takes up to p_limit workflows out of the queues that a process serves (p_queues; NULL: all), beginning with the one
-- after p_first, so that each has its turn. b: how many of a queue it has in memory. Rows beside the workflows, by kind:
--   due    something without a queue is due now        again   there is more for this process
--   left   there is more, but not for this process     later   when a rate limit allows the next one
CREATE FUNCTION pawl.dispatch(
  p_executor bigint, p_limit integer, p_names text[], p_versions text[], p_any_version boolean,
  p_queues text[], b_queues text[], b_counts integer[], p_first text
) RETURNS TABLE (workflow_id text, header text, input text, step_id integer, kind text, name text, target text,
  child_id text, outcome text, output text, error text, seq integer, attempts integer, deadline float8, completed boolean)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz;
  v_queues text[];
  v_share integer;
  v_left integer := p_limit;
  v_mine integer;
  v_room record;
  v_ids text[];
  v_all text[] := '{}';
  v_again text[] := '{}';
  v_others text[] := '{}';
  v_later timestamptz;
  q pawl.queue;
BEGIN
  PERFORM 1 FROM pawl.executor e WHERE e.number = p_executor AND e.gone_at IS NULL FOR KEY SHARE SKIP LOCKED;
  IF NOT FOUND AND EXISTS (SELECT 1 FROM pawl.executor e WHERE e.number = p_executor) THEN
    RETURN;
  END IF;
  kind := 'due';
  IF pawl.promote(500) THEN
    RETURN NEXT;
  END IF;
  SELECT array_agg(i.name) INTO v_queues FROM pawl.queue i
  WHERE NOT i.paused
    AND (SELECT true FROM pawl.workflow w WHERE w.status = 'ENQUEUED' AND w.queue_name = i.name LIMIT 1);
  IF v_queues IS NULL THEN
    RETURN;
  END IF;
  -- In the order of the names, whatever order they are served in.
  PERFORM 1 FROM pawl.queue i
  WHERE i.name = ANY (v_queues) AND (i.concurrency IS NOT NULL OR i.rate_limit IS NOT NULL OR i.partitioned
    OR i.partition_concurrency IS NOT NULL)
  ORDER BY i.name FOR NO KEY UPDATE;
  v_now := pawl.clock();
  v_share := ceil(p_limit::float8 / cardinality(v_queues));

  FOR q IN SELECT * FROM pawl.queue i WHERE i.name = ANY (v_queues) AND NOT i.paused ORDER BY i.name <= p_first, i.name LOOP
    IF q.name <> ALL (p_queues) THEN
      v_others := v_others || q.name;
      CONTINUE;
    END IF;
    SELECT NULL::integer AS room, NULL::timestamptz AS next_at INTO v_room;
    IF q.concurrency IS NOT NULL OR q.rate_limit IS NOT NULL THEN
      SELECT * INTO v_room FROM pawl.queue_room(q, v_now);
    END IF;
    v_mine := greatest(0, least(v_left, v_share, q.worker_concurrency - coalesce(
      (SELECT b.count FROM unnest(b_queues, b_counts) b(name, count) WHERE b.name = q.name), 0)));
    v_ids := '{}';
    IF least(v_mine, v_room.room) > 0 THEN
      v_ids := pawl.queue_head(q, least(v_mine, v_room.room), p_names, p_versions, p_any_version);
    END IF;
    v_all := v_all || v_ids;
    v_left := v_left - cardinality(v_ids);
    IF cardinality(v_ids) < coalesce(v_room.room, v_mine + 1) THEN
      IF cardinality(v_ids) = v_mine AND v_mine > 0 THEN
        v_again := v_again || q.name;
      ELSE
        v_others := v_others || q.name;
      END IF;
    END IF;
    IF q.rate_limit IS NOT NULL AND cardinality(v_ids) > 0 THEN
      INSERT INTO pawl.queue_start (queue_name, at, count) VALUES (q.name, v_now, cardinality(v_ids));
    END IF;
    IF q.rate_limit IS NOT NULL AND cardinality(v_ids) = v_room.room THEN
      v_later := least(v_later, coalesce(v_room.next_at, v_now + q.rate_period_ms * interval '1 millisecond'));
    END IF;
  END LOOP;

  IF v_all <> '{}' THEN
    UPDATE pawl.workflow w
    SET status = 'PENDING', owner = p_executor, fence = w.fence + 1, updated_at = v_now, started_at = v_now,
      version = coalesce(w.version, (SELECT r.version FROM unnest(p_names, p_versions) r(name, version) WHERE r.name = w.name LIMIT 1)),
      deadline = coalesce(w.deadline, v_now + w.timeout_ms * interval '1 millisecond')
    WHERE w.id = ANY (v_all);
    RETURN QUERY
    SELECT w.id, pawl.claim_header(w, v_now), w.input, NULL::integer, 'workflow', NULL, NULL, NULL, NULL, NULL, NULL, NULL::integer,
      NULL::integer, NULL::float8, true
    FROM unnest(v_all) WITH ORDINALITY u(id, n) JOIN pawl.workflow w ON w.id = u.id ORDER BY u.n;
  END IF;
  workflow_id := NULL; header := NULL; input := NULL;
  FOREACH kind IN ARRAY '{again,left}'::text[] LOOP
    IF (SELECT true FROM unnest(CASE kind WHEN 'again' THEN v_again ELSE v_others END) u(name)
      CROSS JOIN LATERAL (SELECT 1 FROM pawl.workflow w WHERE w.status = 'ENQUEUED' AND w.queue_name = u.name LIMIT 1) l LIMIT 1)
    THEN
      RETURN NEXT;
    END IF;
  END LOOP;
  IF v_later IS NOT NULL THEN
    kind := 'later'; deadline := pawl.epoch_ms(v_later);
    RETURN NEXT;
  END IF;
END $$;

-- What a run begins with, beside its input and its journal.
CREATE FUNCTION pawl.claim_header(w pawl.workflow, p_now timestamptz) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT json_build_object('name', w.name, 'fence', w.fence, 'nonce', w.nonce, 'attempts', w.attempts,
    'deadline', pawl.epoch_ms(w.deadline), 'user', w.auth_user, 'roles', w.auth_roles, 'trace', w.trace_context,
    'queue', w.queue_name, 'startedAt', pawl.epoch_ms(w.started_at), 'rerun', w.started_at < p_now)::text
$$;

-- Starts a workflow from SQL: a trigger, a script, another language. Part of the caller's transaction: the workflow
-- exists if and only if that commits, and runs after it, within half a second. `args` is an array of the arguments.
-- The same id twice is one workflow. Raises, and writes nothing, for a queue that does not exist, a deduplication id
-- that is taken (23505), an id that another workflow has (23505).
CREATE FUNCTION pawl.start(
  workflow text, args jsonb DEFAULT '[]', queue text DEFAULT NULL, workflow_id text DEFAULT NULL,
  priority integer DEFAULT NULL, deduplication_id text DEFAULT NULL, partition_key text DEFAULT NULL,
  delay interval DEFAULT NULL
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
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
  SELECT * INTO v_answer FROM pawl.flush_enqueues('{}', '{0}', ARRAY[v_id], ARRAY[gen_random_uuid()::text],
    ARRAY[1 + floor(random() * 1000000000)::integer], ARRAY[workflow], '{NULL}', ARRAY[args::text], ARRAY[queue],
    ARRAY[priority], ARRAY[partition_key], ARRAY[deduplication_id], ARRAY[v_delay], '{NULL}');
  CASE coalesce(v_answer.outcome, 'written')
    WHEN 'unknown-queue' THEN
      RAISE EXCEPTION 'queue "%" does not exist', queue
        USING ERRCODE = '22023', HINT = 'Register it with pawl.registerQueue() in an application, or check the spelling.';
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
    ELSE NULL;
  END CASE;
  RETURN v_id;
END $$;

-- Both: false if there is no such workflow; one that waits no longer is left alone.
CREATE FUNCTION pawl.set_priority(p_id text, p_priority integer) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  UPDATE pawl.workflow w
  SET priority = p_priority, updated_at = pawl.clock(),
    rank = CASE WHEN (SELECT q.priority_enabled FROM pawl.queue q WHERE q.name = w.queue_name) THEN p_priority ELSE 0 END
  WHERE w.id = p_id AND (w.status IN ('ENQUEUED', 'DELAYED')) IS TRUE;
  RETURN FOUND OR EXISTS (SELECT 1 FROM pawl.workflow w WHERE w.id = p_id AND w.status <> 'RESERVED');
END $$;

CREATE FUNCTION pawl.set_delay(p_id text, p_ms float8) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  UPDATE pawl.workflow w
  SET status = 'DELAYED', wake_at = pawl.clock() + p_ms * interval '1 millisecond', updated_at = pawl.clock()
  WHERE w.id = p_id AND (w.status IN ('ENQUEUED', 'DELAYED')) IS TRUE;
  RETURN FOUND OR EXISTS (SELECT 1 FROM pawl.workflow w WHERE w.id = p_id AND w.status <> 'RESERVED');
END $$;
