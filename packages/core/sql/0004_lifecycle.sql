-- Everything that moves a workflow from outside its own run: claim, wake, cancel, time out, resume, fork,
-- delete. Each locks the workflow rows it touches in order of id, then looks, then writes.

-- Journal rows of some workflows after a position, up to p_bytes; a last row of kind 'more' says where to go on.
CREATE FUNCTION pawl.journal_page(p_ids text[], p_after_id text, p_after_step integer, p_bytes integer)
RETURNS TABLE (workflow_id text, header text, input text, step_id integer, kind text, name text, target text,
  child_id text, outcome text, output text, error text, seq integer, attempts integer, deadline float8, completed boolean)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  r pawl.step;
  v_bytes bigint := 0;
  v_last pawl.step;
BEGIN
  FOR r IN
    -- In the order of both, which the nested loop keeps.
    SELECT s.* FROM (
      SELECT u.id FROM unnest(p_ids) u(id) WHERE u.id COLLATE "C" >= p_after_id ORDER BY u.id COLLATE "C"
    ) i CROSS JOIN LATERAL (
      SELECT * FROM pawl.step t
      WHERE t.workflow_id = i.id AND t.step_id > CASE i.id WHEN p_after_id THEN p_after_step ELSE -1 END
      ORDER BY t.step_id OFFSET 0
    ) s
  LOOP
    IF v_bytes > p_bytes THEN
      workflow_id := v_last.workflow_id; step_id := v_last.step_id; kind := 'more';
      RETURN NEXT;
      RETURN;
    END IF;
    v_bytes := v_bytes + 200 + coalesce(octet_length(r.output), 0) + coalesce(octet_length(r.error), 0);
    v_last := r;
    workflow_id := r.workflow_id; step_id := r.step_id; kind := r.kind; name := r.name; target := r.target;
    child_id := r.child_id; outcome := r.outcome; output := r.output; error := r.error; seq := r.seq;
    attempts := r.attempts; deadline := pawl.epoch_ms(r.deadline); completed := r.completed_at IS NOT NULL;
    RETURN NEXT;
  END LOOP;
END $$;

-- Whether a process that has not been declared gone would claim a workflow of this name and version.
CREATE FUNCTION pawl.is_served(p_name text, p_version text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT 1 FROM pawl.executor e, unnest(e.names, e.versions) s(name, version)
    WHERE e.gone_at IS NULL AND s.name = p_name AND (e.any_version OR p_version IS NULL OR s.version = p_version))
$$;

-- Up to p_limit workflows that nobody runs and that are due, or blocked (p_blocked), with their inputs and journals.
-- SKIP LOCKED never waits, so the order of these locks cannot deadlock. Those that were recovered too often end here.
-- What holds a slot of a queue goes on where that queue is served (p_queues; NULL: all), within what one process may
-- run of it; b: how many it has in memory.
CREATE FUNCTION pawl.claim(
  p_executor bigint, p_limit integer, p_names text[], p_versions text[], p_max integer[], p_any_version boolean,
  p_blocked boolean, p_bytes integer, p_queues text[] DEFAULT NULL, b_queues text[] DEFAULT '{}',
  b_counts integer[] DEFAULT '{}'
) RETURNS TABLE (workflow_id text, header text, input text, step_id integer, kind text, name text, target text,
  child_id text, outcome text, output text, error text, seq integer, attempts integer, deadline float8, completed boolean)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_ids text[];
  v_versions text[];
  v_given_up text[];
  v_full text[];
  v_limited text[];
  v_room bigint;
  v_count integer;
  v_taken integer;
BEGIN
  -- One that was declared gone, and does not know it yet, takes nothing: that would count as its next death.
  PERFORM 1 FROM pawl.executor e WHERE e.number = p_executor AND e.gone_at IS NULL FOR KEY SHARE SKIP LOCKED;
  IF NOT FOUND AND EXISTS (SELECT 1 FROM pawl.executor e WHERE e.number = p_executor) THEN
    RETURN;
  END IF;
  SELECT coalesce(array_agg(q.name) FILTER (WHERE q.worker_concurrency <= coalesce(b.count, 0)), '{}'),
    coalesce(array_agg(q.name), '{}'), coalesce(sum(greatest(q.worker_concurrency - coalesce(b.count, 0), 0)), 0)
  INTO v_full, v_limited, v_room
  FROM pawl.queue q LEFT JOIN unnest(b_queues, b_counts) b(name, count) ON b.name = q.name
  WHERE q.worker_concurrency IS NOT NULL;
  -- A join with the names would walk over all that others serve once per name.
  IF p_blocked THEN
    SELECT array_agg(c.id) INTO v_ids FROM (
      SELECT w.id FROM pawl.workflow w
      WHERE w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NOT NULL
        AND (w.queue_name IS NULL OR (w.queue_name = ANY (p_queues)) IS NOT FALSE AND w.queue_name <> ALL (v_full))
        AND w.name = ANY (p_names) AND (p_any_version OR w.version IS NULL
          OR (w.name, w.version) IN (SELECT r.name, r.version FROM unnest(p_names, p_versions) r(name, version)))
      ORDER BY w.wake_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED) c;
    -- Somebody holds one for a moment, who sends it a message: nobody tries what is blocked a second time by itself.
    IF coalesce(cardinality(v_ids), 0) < p_limit AND EXISTS (
      SELECT 1 FROM pawl.workflow w
      WHERE w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NOT NULL AND (w.id = ANY (v_ids)) IS NOT TRUE
        AND (w.queue_name IS NULL OR (w.queue_name = ANY (p_queues)) IS NOT FALSE AND w.queue_name <> ALL (v_full))
        AND w.name = ANY (p_names) AND (p_any_version OR w.version IS NULL
          OR (w.name, w.version) IN (SELECT r.name, r.version FROM unnest(p_names, p_versions) r(name, version))))
    THEN
      RETURN QUERY SELECT NULL, NULL, NULL, NULL::integer, 'held', NULL, NULL, NULL, NULL, NULL, NULL, NULL::integer,
        NULL::integer, NULL::float8, false;
    END IF;
  ELSE
    SELECT coalesce(array_agg(c.id), '{}') INTO v_ids FROM (
      SELECT w.id FROM pawl.workflow w
      WHERE w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NULL AND w.wake_at <= v_now
        AND (w.queue_name IS NULL OR (w.queue_name = ANY (p_queues)) IS NOT FALSE AND w.queue_name <> ALL (v_limited))
        AND w.name = ANY (p_names) AND (p_any_version OR w.version IS NULL
          OR (w.name, w.version) IN (SELECT r.name, r.version FROM unnest(p_names, p_versions) r(name, version)))
      ORDER BY w.wake_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED) c;
    -- Thousands of a queue may be due, for a few slots: these are not to hold up the rest, nor to be locked for nothing.
    v_room := least(v_room, p_limit - cardinality(v_ids));
    IF v_room > 0 THEN
      SELECT v_ids || coalesce(array_agg(c.id), '{}') INTO v_ids FROM (
        SELECT w.id FROM pawl.workflow w
        WHERE w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NULL AND w.wake_at <= v_now
          AND w.queue_name = ANY (v_limited) AND w.queue_name <> ALL (v_full)
          AND (w.queue_name = ANY (p_queues)) IS NOT FALSE
          AND w.name = ANY (p_names) AND (p_any_version OR w.version IS NULL
            OR (w.name, w.version) IN (SELECT r.name, r.version FROM unnest(p_names, p_versions) r(name, version)))
        ORDER BY w.wake_at LIMIT v_room FOR NO KEY UPDATE SKIP LOCKED) c;
    END IF;
  END IF;
  IF v_limited <> '{}' THEN
    v_count := coalesce(cardinality(v_ids), 0);
    SELECT coalesce(array_agg(c.id), '{}'), count(*) FILTER (WHERE c.room IS NOT NULL) INTO v_ids, v_taken FROM (
      SELECT w.id, q.worker_concurrency - coalesce(b.count, 0)
        - row_number() OVER (PARTITION BY w.queue_name ORDER BY w.wake_at, w.id) AS room
      FROM pawl.workflow w LEFT JOIN pawl.queue q ON q.name = w.queue_name
      LEFT JOIN unnest(b_queues, b_counts) b(name, count) ON b.name = w.queue_name
      WHERE w.id = ANY (v_ids)) c
    WHERE c.room IS NULL OR c.room >= 0;
    IF v_full <> '{}' OR v_taken >= v_room OR cardinality(v_ids) < v_count THEN
      RETURN QUERY SELECT NULL, NULL, NULL, NULL::integer, 'full', NULL, NULL, NULL, NULL, NULL, NULL, NULL::integer,
        -- Those of one queue took the places of another one's.
        NULL::integer, NULL::float8, v_taken > 0 AND cardinality(v_ids) < v_count;
    END IF;
  END IF;
  SELECT array_agg(c.id) FILTER (WHERE NOT c.given_up), array_agg(c.version) FILTER (WHERE NOT c.given_up),
    array_agg(c.id) FILTER (WHERE c.given_up)
  INTO v_ids, v_versions, v_given_up
  FROM (
    SELECT w.id, coalesce(w.version, r.version) AS version, w.attempts > r.max AS given_up
    FROM pawl.workflow w JOIN unnest(p_names, p_versions, p_max) r(name, version, max) ON r.name = w.name
    WHERE w.id = ANY (v_ids)
  ) c;

  IF v_given_up IS NOT NULL THEN
    UPDATE pawl.workflow w SET status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', completed_at = v_now, updated_at = v_now,
      blocked = NULL, stranded = false
    WHERE w.id = ANY (v_given_up);
    UPDATE pawl.waiter t SET fired = true WHERE t.target = ANY (v_given_up) AND t.kind IN ('r', 's') AND NOT t.fired;
  END IF;
  IF v_ids IS NULL THEN
    RETURN;
  END IF;

  UPDATE pawl.workflow w
  SET owner = p_executor, fence = w.fence + 1, version = u.version, wake_at = NULL, blocked = NULL,
    stranded = false, updated_at = v_now, started_at = coalesce(w.started_at, v_now), deadline = CASE
      WHEN w.started_at IS NULL THEN coalesce(w.deadline, v_now + w.timeout_ms * interval '1 millisecond')
      ELSE w.deadline END
  FROM unnest(v_ids, v_versions) u(id, version) WHERE w.id = ANY (ARRAY[u.id]);
  DELETE FROM pawl.waiter t WHERE t.workflow_id = ANY (v_ids) AND t.workflow_id <> '';

  RETURN QUERY
  SELECT w.id, pawl.claim_header(w, v_now),
    w.input, NULL::integer, 'workflow', NULL, NULL, NULL, NULL, NULL, NULL, NULL::integer, NULL::integer, NULL::float8, true
  FROM pawl.workflow w WHERE w.id = ANY (v_ids);
  RETURN QUERY SELECT * FROM pawl.journal_page(v_ids, '', -1, p_bytes);
END $$;

-- What tracing wants to have back with the next claim of these runs.
CREATE FUNCTION pawl.keep_traces(p_ids text[], p_fences integer[], p_traces text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
  PERFORM 1 FROM pawl.workflow w WHERE w.id = ANY (p_ids) ORDER BY w.id FOR NO KEY UPDATE;
  UPDATE pawl.workflow w SET trace_context = u.trace
  FROM unnest(p_ids, p_fences, p_traces) u(id, fence, trace) WHERE w.id = ANY (ARRAY[u.id]) AND w.fence = u.fence;
END $$;

-- Passes fired waiters on: parked workflows become due, owners of running ones and waiting executors are named
-- for a hint (executor, id). The waiters' rows are read first, their workflows locked, then they are read again.
-- One whose row somebody holds does not hold up the others: it stays fired, and (-1) says that there is more.
CREATE FUNCTION pawl.wake(p_limit integer) RETURNS TABLE (executor bigint, id text)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_fired text[];
  v_ids text[];
BEGIN
  SELECT array_agg(DISTINCT f.workflow_id) FILTER (WHERE f.workflow_id <> '') INTO v_ids
  FROM (SELECT t.workflow_id FROM pawl.waiter t WHERE t.fired LIMIT p_limit) f;
  IF v_ids IS NOT NULL THEN
    v_fired := v_ids;
    SELECT coalesce(array_agg(l.id), '{}') INTO v_ids
    FROM (SELECT w.id FROM pawl.workflow w WHERE w.id = ANY (v_fired) FOR NO KEY UPDATE SKIP LOCKED) l;
    IF EXISTS (SELECT 1 FROM pawl.workflow w WHERE w.id = ANY (v_fired) AND w.id <> ALL (v_ids)) THEN
      RETURN QUERY SELECT -1::bigint, NULL::text;
    END IF;
    UPDATE pawl.workflow w SET wake_at = v_now
    WHERE w.id = ANY (v_ids) AND w.status = 'PENDING' AND coalesce(w.owner, 0) = 0 AND w.blocked IS NULL
      AND (w.wake_at IS NULL OR w.wake_at > v_now);
    RETURN QUERY SELECT coalesce(w.owner, 0), w.id FROM pawl.workflow w WHERE w.id = ANY (v_ids) AND w.status = 'PENDING';
    DELETE FROM pawl.waiter t WHERE t.workflow_id = ANY (v_ids) AND t.fired;
  END IF;
  RETURN QUERY
  DELETE FROM pawl.waiter t USING (
    SELECT f.target, f.kind, f.key, f.workflow_id, f.executor FROM pawl.waiter f
    -- `coalesce`: by those that fired, and not through the key, which has the column too.
    WHERE f.fired AND coalesce(f.workflow_id, '') = '' LIMIT p_limit FOR UPDATE SKIP LOCKED) f
  WHERE t.target = ANY (ARRAY[f.target]) AND t.kind = f.kind AND t.key = f.key AND t.workflow_id = f.workflow_id
    AND t.executor = f.executor
  RETURNING t.executor, t.target;
END $$;

-- Ends workflows that have not ended: cancelled by a caller, or (p_due) past their deadline. Names who ran them.
CREATE FUNCTION pawl.cancel(p_ids text[], p_children boolean, p_due boolean, p_error text)
RETURNS TABLE (id text, owner bigint, was text, fence integer)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz;
  v_ids text[] := p_ids;
  v_count integer := -1;
BEGIN
  -- A locked parent starts no further child; go on until a round finds none. All that is there is locked in one round,
  -- in the order that everybody keeps.
  LOOP
    IF p_children THEN
      WITH RECURSIVE tree AS (
        SELECT i.id COLLATE "C" FROM unnest(v_ids) i(id)
        -- OFFSET 0: by each parent, and not all that have one.
        UNION SELECT w.id FROM tree CROSS JOIN LATERAL (
          SELECT i.id FROM pawl.workflow i WHERE i.parent_id = tree.id OFFSET 0) w
      ) SELECT coalesce(array_agg(tree.id), '{}') INTO v_ids FROM tree;
    END IF;
    EXIT WHEN cardinality(v_ids) = v_count;
    v_count := cardinality(v_ids);
    PERFORM 1 FROM pawl.workflow w WHERE w.id = ANY (v_ids) ORDER BY w.id FOR NO KEY UPDATE;
  END LOOP;
  -- What was started since is not locked, and not cancelled.
  SELECT coalesce(array_agg(l.id), '{}') INTO v_ids
  FROM (SELECT w.id FROM pawl.workflow w WHERE w.id = ANY (v_ids) ORDER BY w.id FOR NO KEY UPDATE) l;
  v_now := pawl.clock();
  RETURN QUERY
  WITH old AS (
    SELECT w.id, w.owner, w.status, w.fence FROM pawl.workflow w
    WHERE w.id = ANY (v_ids) AND w.status IN ('PENDING', 'ENQUEUED', 'DELAYED') AND (NOT p_due OR w.deadline <= v_now)
  ), ended AS (
    UPDATE pawl.workflow w SET status = 'CANCELLED', completed_at = v_now, updated_at = v_now, blocked = NULL,
      stranded = false, error = p_error
    FROM old WHERE w.id = ANY (ARRAY[old.id]) RETURNING w.id
  ), told AS (
    UPDATE pawl.waiter t SET fired = true FROM old WHERE t.target = ANY (ARRAY[old.id]) AND t.kind IN ('r', 's') AND NOT t.fired
  )
  SELECT old.id, old.owner, old.status, old.fence FROM old JOIN ended ON ended.id = old.id;
END $$;

-- The owner has noticed a cancellation.
CREATE FUNCTION pawl.cancel_noticed(p_executor bigint, p_ids text[]) RETURNS void LANGUAGE sql VOLATILE AS $$
  UPDATE pawl.workflow w SET owner = NULL
  FROM (SELECT i.id FROM pawl.workflow i WHERE i.id = ANY (p_ids) FOR NO KEY UPDATE SKIP LOCKED) l
  WHERE w.id = ANY (ARRAY[l.id]) AND coalesce(w.owner, 0) = p_executor AND w.status = 'CANCELLED'
$$;

-- Goes on from the last completed step, outside of its queue: cancelled, given up, blocked, stranded or queued workflows. One that runs or
-- waits is left alone. It gets the version of the one who asks, or that of whoever claims it if that one does not
-- serve its name. Names the ids that exist, and who ran them.
CREATE FUNCTION pawl.resume(p_ids text[], p_names text[], p_versions text[]) RETURNS TABLE (id text, owner bigint, changed boolean, fence integer)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz;
BEGIN
  -- What is started from here on is not locked, and does not exist yet for this call.
  SELECT coalesce(array_agg(l.id), '{}') INTO p_ids
  FROM (SELECT w.id FROM pawl.workflow w WHERE w.id = ANY (p_ids) ORDER BY w.id FOR NO KEY UPDATE) l;
  v_now := pawl.clock();
  RETURN QUERY
  WITH old AS (
    SELECT w.id, w.owner, w.fence,
      (w.status IN ('CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', 'ENQUEUED', 'DELAYED')
        OR w.status = 'PENDING' AND w.blocked IS NOT NULL
        -- Nobody has found out yet that no process serves it; or it is not due yet, and would be stranded then.
        OR w.status = 'PENDING' AND w.owner IS NULL AND (w.wake_at <= v_now OR u.version IS NOT NULL)
          AND NOT pawl.is_served(w.name, w.version)) AS open,
      u.version
    FROM pawl.workflow w LEFT JOIN unnest(p_names, p_versions) u(name, version) ON u.name = w.name
    WHERE w.id = ANY (p_ids) AND w.status <> 'RESERVED'
  ), moved AS (
    UPDATE pawl.workflow w
    SET status = 'PENDING', owner = NULL, fence = w.fence + 1, queue_name = NULL, version = old.version, attempts = 0, blocked = NULL,
      stranded = false, wake_at = v_now, completed_at = NULL, updated_at = v_now,
      deadline = CASE WHEN w.deadline > v_now THEN w.deadline END, error = NULL
    FROM old WHERE w.id = ANY (ARRAY[old.id]) AND old.open
  )
  SELECT old.id, old.owner, old.open, old.fence FROM old;
END $$;

-- A new workflow with the same input and the steps before p_step of another one. NULL if there is none.
CREATE FUNCTION pawl.fork(p_id text, p_step integer, p_new text, p_nonce text, p_version text)
RETURNS text LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz;
  v_name text;
BEGIN
  PERFORM 1 FROM pawl.workflow w WHERE w.id IN (p_id, p_new) ORDER BY w.id FOR NO KEY UPDATE;
  v_now := pawl.clock();
  SELECT w.name INTO v_name FROM pawl.workflow w WHERE w.id = p_id AND w.status <> 'RESERVED';
  IF v_name IS NULL THEN
    RETURN NULL;
  END IF;
  INSERT INTO pawl.workflow AS t (id, name, status, fence, nonce, version, priority, created_at, updated_at, wake_at, forked_from,
    input, auth_user, auth_roles, attributes)
  -- Its first fence is its own, so that what still runs a deleted fork of this id cannot write into this one.
  SELECT p_new, w.name, 'PENDING', abs(hashtext(p_nonce) % 1048576) + 1, p_nonce, p_version, w.priority, v_now, v_now, v_now, w.id, w.input, w.auth_user,
    w.auth_roles, w.attributes
  FROM pawl.workflow w WHERE w.id = p_id
  -- A placeholder becomes the fork; those who wait for it stay registered.
  ON CONFLICT (id) DO UPDATE
  SET name = excluded.name, status = excluded.status, fence = excluded.fence, nonce = excluded.nonce,
    version = excluded.version, priority = excluded.priority, created_at = v_now, updated_at = v_now, wake_at = v_now,
    forked_from = excluded.forked_from, input = excluded.input, auth_user = excluded.auth_user,
    auth_roles = excluded.auth_roles, attributes = excluded.attributes
  WHERE t.status = 'RESERVED';
  IF NOT FOUND THEN
    RETURN (SELECT CASE WHEN w.nonce = p_nonce THEN 'forked' ELSE 'exists' END FROM pawl.workflow w WHERE w.id = p_new);
  END IF;
  INSERT INTO pawl.step (workflow_id, step_id, fence, seq, attempts, started_at, completed_at, kind, name, target,
    outcome, child_id, output, error)
  SELECT p_new, s.step_id, 0, s.seq, s.attempts, s.started_at, s.completed_at, s.kind, s.name,
    -- What concerned itself concerns itself again.
    CASE WHEN s.target = p_id AND s.kind IN ('send', 'getEvent', 'getResult', 'readStream') THEN p_new ELSE s.target END,
    s.outcome, s.child_id, s.output, s.error
  FROM pawl.step s WHERE s.workflow_id = p_id AND s.step_id < p_step AND s.completed_at IS NOT NULL;
  INSERT INTO pawl.event (workflow_id, key, seq, created_at, value)
  SELECT p_new, e.key, e.seq, e.created_at, e.value
  FROM pawl.event e JOIN pawl.step s ON s.workflow_id = p_id AND s.seq = e.seq AND s.step_id < p_step
  WHERE e.workflow_id = p_id;
  INSERT INTO pawl.stream (workflow_id, key, position, step_id, closed, created_at, value)
  SELECT p_new, x.key, row_number() OVER (PARTITION BY x.key ORDER BY x.position) - 1, x.step_id, x.closed, x.created_at,
    x.value
  FROM pawl.stream x WHERE x.workflow_id = p_id AND x.step_id < p_step;
  -- Messages that the copied steps did not take are there for the fork, in their order.
  INSERT INTO pawl.message (destination, id, topic, created_at, sender, trace_context, body, error)
  SELECT p_new, m.id, m.topic, m.created_at, m.sender, m.trace_context, m.body, m.error
  FROM pawl.message m
  WHERE m.destination = p_id AND (m.consumed_by IS NULL OR m.consumed_by >= p_step)
  ORDER BY m.sequence
  ON CONFLICT (destination, id) DO NOTHING;
  RETURN 'forked';
END $$;

-- Forgets workflows. What still runs them finds them deleted at its next write.
CREATE FUNCTION pawl.forget(p_ids text[]) RETURNS TABLE (id text, owner bigint, fence integer)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
  -- Placeholders stay, with the messages that are kept in them.
  SELECT coalesce(array_agg(l.id), '{}') INTO p_ids
  FROM (SELECT w.id FROM pawl.workflow w WHERE w.id = ANY (p_ids) AND w.status <> 'RESERVED'
        ORDER BY w.id FOR UPDATE) l;
  -- An Idempotency-Key whose answer nobody has fetched: it cannot be had any more, and must not be made again. As long
  -- as such a key is kept in any case (ledger.ts).
  UPDATE pawl.http_request r
  SET state = 'done', completed_at = w.completed_at, expires_at = w.completed_at + interval '30 days'
  FROM pawl.workflow w
  WHERE w.id = ANY (p_ids) AND w.completed_at IS NOT NULL AND r.id = substring(w.id FROM 6 FOR 43)
    AND w.id = 'http-' || r.id || '-' || r.generation AND r.state = 'running' AND r.lease_until IS NULL;
  UPDATE pawl.waiter t SET fired = true WHERE t.target = ANY (p_ids) AND NOT t.fired;
  DELETE FROM pawl.waiter t WHERE t.workflow_id = ANY (p_ids) AND t.workflow_id <> '';
  DELETE FROM pawl.step s WHERE s.workflow_id = ANY (p_ids);
  DELETE FROM pawl.message m WHERE m.destination = ANY (p_ids);
  DELETE FROM pawl.event e WHERE e.workflow_id = ANY (p_ids);
  DELETE FROM pawl.stream x WHERE x.workflow_id = ANY (p_ids);
  DELETE FROM pawl.hook h WHERE h.workflow_id = ANY (p_ids);
  RETURN QUERY DELETE FROM pawl.workflow w WHERE w.id = ANY (p_ids) RETURNING w.id, w.owner, w.fence;
END $$;

-- A workflow that cannot go on here keeps its status, says why, and loses its owner.
CREATE FUNCTION pawl.block(p_id text, p_fence integer, p_reason text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM 1 FROM pawl.workflow w WHERE w.id = p_id FOR NO KEY UPDATE;
  UPDATE pawl.workflow w
  SET blocked = p_reason, stranded = false, owner = NULL, fence = w.fence + 1, wake_at = pawl.clock(), updated_at = pawl.clock()
  WHERE w.id = p_id AND w.fence = p_fence AND w.status = 'PENDING';
  RETURN FOUND;
END $$;
