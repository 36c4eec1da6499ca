-- The journal's one call. Lock, then look, then write: under READ COMMITTED a statement that waited for a row
-- lock sees only that row anew, so the locks come first and every later statement has a fresh snapshot.
-- Arguments are parallel arrays, one group per kind of write; `op` is the caller's number of an operation.
-- Only what deserves an answer is answered: an operation that is not mentioned was written.
--
-- The planner settings hold the plans at index probes: a table that was empty when its plan was cached, or a
-- batch estimated too large, otherwise turns into a scan that grows with the table.

CREATE TYPE pawl.flush_result AS (
  op       integer,
  outcome  text,
  output   text,
  error    text,
  detail   text,
  at       float8
);

-- Placeholders for ids that nobody started yet, so that there is a row to lock; locks them.
CREATE FUNCTION pawl.reserve(p_ids text[], p_watched boolean) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
BEGIN
  INSERT INTO pawl.workflow (id, name, status, nonce, watched, created_at, updated_at)
  SELECT DISTINCT u.id, '', 'RESERVED', '', p_watched, v_now, v_now
  FROM unnest(p_ids) u(id) ORDER BY u.id
  ON CONFLICT (id) DO NOTHING;
  PERFORM 1 FROM pawl.workflow w WHERE w.id = ANY (p_ids) ORDER BY w.id FOR NO KEY UPDATE;
END $$;

-- Why a fenced write may not land, and what stands there instead. A completed record comes first: it is
-- either ours (the rerun of a commit whose answer was lost) or the one to adopt.
CREATE FUNCTION pawl.flush_refusals(
  p_bad int[], f_op int[], f_wf text[], f_fence int[], f_step int[], f_seq int[], f_keep boolean[]
) RETURNS SETOF pawl.flush_result LANGUAGE sql VOLATILE AS $$
  SELECT u.op,
    CASE
      WHEN s.completed_at IS NOT NULL AND s.fence = u.fence AND s.seq = u.seq THEN
        CASE WHEN w.status = 'CANCELLED' AND w.fence = u.fence THEN 'kept' ELSE 'written' END
      WHEN s.completed_at IS NOT NULL THEN 'adopted'
      WHEN w.id IS NULL OR w.status = 'RESERVED' THEN 'deleted'
      WHEN w.fence <> u.fence THEN 'superseded'
      WHEN w.status = 'CANCELLED' AND u.keep THEN 'kept'
      WHEN w.status = 'CANCELLED' THEN 'cancelled'
      WHEN u.step IS NULL AND w.status IN ('SUCCESS', 'ERROR') THEN 'written'
      ELSE 'ended'
    END,
    s.output, s.error, s.outcome, s.seq::float8
  FROM unnest(f_op, f_wf, f_fence, f_step, f_seq, f_keep) u(op, wf, fence, step, seq, keep)
  LEFT JOIN pawl.workflow w ON w.id = u.wf
  LEFT JOIN pawl.step s ON s.workflow_id = u.wf AND s.step_id = u.step
  WHERE u.op = ANY (p_bad)
$$;

-- Starts. `extra` is JSON for what most starts do not have.
CREATE FUNCTION pawl.flush_starts(
  p_executor bigint, p_bad int[],
  n_op int[], n_id text[], n_nonce text[], n_fence int[], n_name text[], n_version text[], n_input text[], n_extra text[]
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_count integer;
  v_started text[];
BEGIN
  INSERT INTO pawl.workflow (id, name, status, owner, fence, nonce, version, priority, created_at, updated_at,
    started_at, wake_at, deadline, timeout_ms, parent_id, forked_from)
  SELECT u.id, u.name, 'PENDING',
    CASE WHEN u.x ? 'detached' THEN NULL ELSE p_executor END,
    u.fence, u.nonce, u.version, coalesce((u.x ->> 'priority')::integer, 0), v_now, v_now,
    CASE WHEN u.x ? 'detached' THEN NULL ELSE v_now END,
    CASE WHEN u.x ? 'detached' THEN v_now END,
    CASE WHEN u.x ? 'timeout' THEN v_now + (u.x ->> 'timeout')::float8 * interval '1 millisecond'
         WHEN u.x ? 'deadline' THEN to_timestamp((u.x ->> 'deadline')::float8 / 1000) END,
    (u.x ->> 'timeout')::float8, u.x ->> 'parent', u.x ->> 'forkedFrom'
  FROM (
    SELECT r.op, r.id, r.nonce, r.fence, r.name, r.version, r.extra::jsonb AS x
    FROM unnest(n_op, n_id, n_nonce, n_fence, n_name, n_version, n_extra) r(op, id, nonce, fence, name, version, extra)
    WHERE r.op <> ALL (p_bad)
  ) u
  ORDER BY u.id, u.op
  ON CONFLICT (id) DO NOTHING;
  GET DIAGNOSTICS v_count = ROW_COUNT;

  IF v_count = cardinality(n_op) THEN
    INSERT INTO pawl.workflow_data (id, input, auth_user, auth_roles, attributes, trace_context)
    SELECT u.id, u.input, u.x ->> 'user', u.x ->> 'roles', u.x -> 'attributes', u.x ->> 'trace'
    FROM (SELECT r.id, r.input, r.extra::jsonb AS x FROM unnest(n_id, n_input, n_extra) r(id, input, extra)) u
    ORDER BY u.id
    ON CONFLICT (id) DO NOTHING;
    RETURN;
  END IF;

  -- Some ids were there: placeholders become workflows, the rest is answered.
  UPDATE pawl.workflow w
  SET name = u.name, status = 'PENDING', nonce = u.nonce, version = u.version,
    owner = CASE WHEN u.x ? 'detached' THEN NULL ELSE p_executor END,
    fence = u.fence,
    priority = coalesce((u.x ->> 'priority')::integer, 0), created_at = v_now, updated_at = v_now,
    started_at = CASE WHEN u.x ? 'detached' THEN NULL ELSE v_now END,
    wake_at = CASE WHEN u.x ? 'detached' THEN v_now END,
    deadline = CASE WHEN u.x ? 'timeout' THEN v_now + (u.x ->> 'timeout')::float8 * interval '1 millisecond'
                    WHEN u.x ? 'deadline' THEN to_timestamp((u.x ->> 'deadline')::float8 / 1000) END,
    timeout_ms = (u.x ->> 'timeout')::float8, parent_id = u.x ->> 'parent', forked_from = u.x ->> 'forkedFrom'
  FROM (
    SELECT DISTINCT ON (r.id) r.id, r.nonce, r.fence, r.name, r.version, r.extra::jsonb AS x
    FROM unnest(n_op, n_id, n_nonce, n_fence, n_name, n_version, n_extra) r(op, id, nonce, fence, name, version, extra)
    WHERE r.op <> ALL (p_bad)
    ORDER BY r.id, r.op
  ) u
  WHERE w.id = u.id AND w.status = 'RESERVED';

  INSERT INTO pawl.workflow_data (id, input, auth_user, auth_roles, attributes, trace_context)
  SELECT u.id, u.input, u.x ->> 'user', u.x ->> 'roles', u.x -> 'attributes', u.x ->> 'trace'
  FROM (
    SELECT r.id, r.nonce, r.input, r.extra::jsonb AS x
    FROM unnest(n_id, n_nonce, n_input, n_extra) r(id, nonce, input, extra)
  ) u
  JOIN pawl.workflow w ON w.id = u.id AND w.nonce = u.nonce
  ORDER BY u.id
  ON CONFLICT (id) DO NOTHING;

  -- output: the input that is stored; detail: name, parent and fence of the one that has the id.
  RETURN QUERY
  SELECT u.op, CASE WHEN w.nonce = u.nonce THEN 'started' ELSE 'exists' END,
    CASE WHEN w.nonce <> u.nonce THEN d.input END, w.status,
    json_build_object('name', w.name, 'parent', w.parent_id, 'fence', w.fence)::text, NULL::float8
  FROM unnest(n_op, n_id, n_nonce, n_fence) u(op, id, nonce, fence)
  JOIN pawl.workflow w ON w.id = u.id
  LEFT JOIN pawl.workflow_data d ON d.id = u.id
  WHERE u.op <> ALL (p_bad) AND (w.nonce <> u.nonce OR w.fence <> u.fence OR w.status <> 'PENDING');
END $$;

-- Messages. The destinations are locked, so the sequence is drawn in the order of the commits.
CREATE FUNCTION pawl.flush_messages(
  p_executor bigint, p_bad int[],
  m_op int[], m_destination text[], m_id text[], m_topic text[], m_body text[], m_sender text[], m_park boolean[]
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_missing int[];
  v_park text[];
  v_abroad boolean;
  v_parked boolean;
BEGIN
  SELECT array_agg(u.op) FILTER (WHERE (w.id IS NULL OR w.status = 'RESERVED') AND NOT u.park),
    array_agg(u.destination) FILTER (WHERE w.id IS NULL AND u.park)
  INTO v_missing, v_park
  FROM unnest(m_op, m_destination, m_park) u(op, destination, park)
  LEFT JOIN pawl.workflow w ON w.id = u.destination
  WHERE u.op <> ALL (p_bad);
  IF v_park IS NOT NULL THEN
    PERFORM pawl.reserve(v_park, false);
  END IF;
  IF v_missing IS NOT NULL THEN
    RETURN QUERY SELECT u.op, 'missing', NULL::text, NULL::text, NULL::text, NULL::float8 FROM unnest(v_missing) u(op);
    p_bad := p_bad || v_missing;
  END IF;

  INSERT INTO pawl.message (destination, id, topic, created_at, sender, body)
  SELECT u.destination, u.id, u.topic, v_now, u.sender, u.body
  FROM unnest(m_op, m_destination, m_id, m_topic, m_body, m_sender) u(op, destination, id, topic, body, sender)
  WHERE u.op <> ALL (p_bad)
  ORDER BY u.op
  ON CONFLICT (destination, id) DO NOTHING;

  SELECT bool_or(w.owner IS NULL), bool_or(w.owner <> p_executor) INTO v_parked, v_abroad
  FROM pawl.workflow w WHERE w.id = ANY (m_destination) AND w.status = 'PENDING';
  IF v_parked THEN
    UPDATE pawl.workflow w SET wake_at = v_now
    WHERE w.id = ANY (m_destination) AND w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NULL
      AND (w.wake_at IS NULL OR w.wake_at > v_now)
      AND EXISTS (
        SELECT 1 FROM pawl.step s JOIN unnest(m_destination, m_topic) u(destination, topic) ON s.target = u.topic
        WHERE s.workflow_id = w.id AND u.destination = w.id AND s.completed_at IS NULL AND s.kind = 'recv');
    IF FOUND THEN
      RETURN QUERY SELECT -1, 'ready', NULL::text, NULL::text, NULL::text, NULL::float8;
    END IF;
  END IF;
  IF v_abroad THEN
    RETURN QUERY
    SELECT DISTINCT -1, 'hint', w.id, NULL::text, w.owner::text, NULL::float8
    FROM pawl.workflow w WHERE w.id = ANY (m_destination) AND w.status = 'PENDING' AND w.owner <> p_executor;
  END IF;
END $$;

-- Waits: what is there is taken and recorded at once; the rest gets a row that holds its first deadline.
--   recv       target = topic        getEvent   target = workflow, name = key
--   getResult  target = workflow     sleep
CREATE FUNCTION pawl.flush_waits(
  p_bad int[], w_op int[], w_wf text[], w_step int[], w_fence int[], w_kind text[], w_name text[],
  w_target text[], w_timeout float8[], w_seq int[]
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_watch text[];
BEGIN
  IF 'recv' = ANY (w_kind) THEN
    -- Several recv of one topic in one flush are paired with the messages in order.
    WITH want AS (
      SELECT u.wf, u.step, u.fence, u.topic, u.seq,
        row_number() OVER (PARTITION BY u.wf, u.topic ORDER BY u.op) AS place
      FROM unnest(w_op, w_wf, w_step, w_fence, w_kind, w_target, w_seq) u(op, wf, step, fence, kind, topic, seq)
      LEFT JOIN pawl.step s ON s.workflow_id = u.wf AND s.step_id = u.step
      WHERE u.kind = 'recv' AND u.op <> ALL (p_bad) AND s.completed_at IS NULL
    ), picked AS (
      SELECT w.*, m.id AS message_id, m.body
      FROM want w
      JOIN LATERAL (
        SELECT i.id, i.body FROM pawl.message i
        WHERE i.destination = w.wf AND i.topic = w.topic AND i.consumed_by IS NULL
        ORDER BY i.sequence OFFSET w.place - 1 LIMIT 1
      ) m ON true
    ), used AS (
      UPDATE pawl.message m SET consumed_by = p.step FROM picked p
      WHERE m.destination = p.wf AND m.id = p.message_id
    )
    INSERT INTO pawl.step AS t (workflow_id, step_id, fence, seq, started_at, completed_at, kind, target, output)
    SELECT p.wf, p.step, p.fence, p.seq, v_now, v_now, 'recv', p.topic, p.body
    FROM picked p ORDER BY p.wf, p.step
    ON CONFLICT (workflow_id, step_id) DO UPDATE
    SET output = excluded.output, seq = excluded.seq, fence = excluded.fence, completed_at = v_now
    WHERE t.completed_at IS NULL;
  END IF;

  IF 'getEvent' = ANY (w_kind) THEN
    INSERT INTO pawl.step AS t (workflow_id, step_id, fence, seq, started_at, completed_at, kind, name, target, output)
    SELECT u.wf, u.step, u.fence, u.seq, v_now, v_now, u.kind, u.name, u.target, e.value
    FROM unnest(w_op, w_wf, w_step, w_fence, w_kind, w_name, w_target, w_seq) u(op, wf, step, fence, kind, name, target, seq)
    JOIN LATERAL (
      SELECT i.value FROM pawl.event i WHERE i.workflow_id = u.target AND i.key = u.name
      ORDER BY i.seq DESC LIMIT 1
    ) e ON true
    WHERE u.kind = 'getEvent' AND u.op <> ALL (p_bad)
    ORDER BY u.wf, u.step
    ON CONFLICT (workflow_id, step_id) DO UPDATE
    SET output = excluded.output, seq = excluded.seq, fence = excluded.fence, completed_at = v_now
    WHERE t.completed_at IS NULL;
  END IF;

  IF 'getResult' = ANY (w_kind) THEN
    INSERT INTO pawl.step AS t
      (workflow_id, step_id, fence, seq, started_at, completed_at, kind, name, target, outcome, output, error)
    SELECT u.wf, u.step, u.fence, u.seq, v_now, v_now, u.kind, u.name, u.target, w.status, d.output, d.error
    FROM unnest(w_op, w_wf, w_step, w_fence, w_kind, w_name, w_target, w_seq) u(op, wf, step, fence, kind, name, target, seq)
    JOIN pawl.workflow w ON w.id = u.target
      AND w.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')
    LEFT JOIN pawl.workflow_data d ON d.id = u.target
    WHERE u.kind = 'getResult' AND u.op <> ALL (p_bad)
    ORDER BY u.wf, u.step
    ON CONFLICT (workflow_id, step_id) DO UPDATE
    SET outcome = excluded.outcome, output = excluded.output, error = excluded.error, seq = excluded.seq,
      fence = excluded.fence, completed_at = v_now
    WHERE t.completed_at IS NULL;
  END IF;

  INSERT INTO pawl.step (workflow_id, step_id, fence, started_at, deadline, kind, name, target)
  SELECT u.wf, u.step, u.fence, v_now, v_now + u.timeout * interval '1 millisecond', u.kind, u.name, u.target
  FROM unnest(w_op, w_wf, w_step, w_fence, w_kind, w_name, w_target, w_timeout)
    u(op, wf, step, fence, kind, name, target, timeout)
  WHERE u.op <> ALL (p_bad)
  ORDER BY u.wf, u.step
  ON CONFLICT (workflow_id, step_id) DO NOTHING;

  UPDATE pawl.step s
  SET completed_at = v_now, seq = u.seq, fence = u.fence, outcome = 'timeout'
  FROM unnest(w_op, w_wf, w_step, w_fence, w_seq) u(op, wf, step, fence, seq)
  WHERE s.workflow_id = u.wf AND s.step_id = u.step AND u.op <> ALL (p_bad)
    AND s.completed_at IS NULL AND s.deadline <= v_now;

  IF 'getEvent' = ANY (w_kind) OR 'getResult' = ANY (w_kind) THEN
    SELECT array_agg(DISTINCT u.target) INTO v_watch
    FROM unnest(w_op, w_wf, w_step, w_kind, w_target) u(op, wf, step, kind, target)
    JOIN pawl.step s ON s.workflow_id = u.wf AND s.step_id = u.step
    WHERE u.kind IN ('getEvent', 'getResult') AND u.op <> ALL (p_bad) AND s.completed_at IS NULL;
    IF v_watch IS NOT NULL THEN
      PERFORM pawl.reserve(u.ids, true)
      FROM (SELECT array_agg(i.id) AS ids FROM unnest(v_watch) i(id)
            WHERE NOT EXISTS (SELECT 1 FROM pawl.workflow w WHERE w.id = i.id)) u
      WHERE u.ids IS NOT NULL;
      UPDATE pawl.workflow w SET watched = true WHERE w.id = ANY (v_watch) AND NOT w.watched;
      INSERT INTO pawl.waiter (target, kind, key, workflow_id)
      SELECT u.target, CASE u.kind WHEN 'getEvent' THEN 'e' ELSE 'r' END,
        CASE u.kind WHEN 'getEvent' THEN u.name ELSE '' END, u.wf
      FROM unnest(w_op, w_wf, w_step, w_kind, w_name, w_target) u(op, wf, step, kind, name, target)
      JOIN pawl.step s ON s.workflow_id = u.wf AND s.step_id = u.step
      WHERE u.kind IN ('getEvent', 'getResult') AND u.op <> ALL (p_bad) AND s.completed_at IS NULL
      ORDER BY u.target, u.kind, u.name
      ON CONFLICT (target, kind, key, workflow_id, executor) DO UPDATE SET fired = false;
    END IF;
  END IF;

  RETURN QUERY
  SELECT u.op, CASE WHEN s.completed_at IS NULL THEN 'wait' ELSE 'value' END, s.output, s.error, s.outcome,
    pawl.epoch_ms(s.deadline)
  FROM unnest(w_op, w_wf, w_step) u(op, wf, step)
  JOIN pawl.step s ON s.workflow_id = u.wf AND s.step_id = u.step
  WHERE u.op <> ALL (p_bad);
END $$;

-- Parking: the row gives up its owner only if nothing that it waits for is there. The awaited rows are locked
-- like our own, and whoever causes a wake-up locks them first and then looks for waiters: one sees the other.
CREATE FUNCTION pawl.flush_parks(p_bad int[], p_op int[], p_wf text[])
RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_ready int[];
BEGIN
  SELECT coalesce(array_agg(DISTINCT u.op), '{}') INTO v_ready
  FROM unnest(p_op, p_wf) u(op, wf)
  LEFT JOIN pawl.step s ON s.workflow_id = u.wf AND s.completed_at IS NULL
  WHERE u.op <> ALL (p_bad) AND (
    s.workflow_id IS NULL
    OR s.deadline <= v_now
    OR CASE s.kind
      WHEN 'recv' THEN EXISTS (
        SELECT 1 FROM pawl.message m
        WHERE m.destination = s.workflow_id AND m.topic = s.target AND m.consumed_by IS NULL)
      WHEN 'getEvent' THEN EXISTS (SELECT 1 FROM pawl.event e WHERE e.workflow_id = s.target AND e.key = s.name)
      WHEN 'getResult' THEN EXISTS (
        SELECT 1 FROM pawl.workflow t WHERE t.id = s.target
          AND t.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'))
      ELSE false
    END);

  UPDATE pawl.workflow w
  SET owner = NULL, updated_at = v_now, wake_at = (
    SELECT min(s.deadline) FROM pawl.step s WHERE s.workflow_id = w.id AND s.completed_at IS NULL)
  FROM unnest(p_op, p_wf) u(op, wf)
  WHERE w.id = u.wf AND u.op <> ALL (p_bad) AND u.op <> ALL (v_ready);

  RETURN QUERY SELECT u.op, 'ready', NULL::text, NULL::text, NULL::text, NULL::float8 FROM unnest(v_ready) u(op);
END $$;

-- f: every fenced operation   n: starts   s: step records   e: events   m: messages
-- z: ends of workflows        w: waits    p: parks
CREATE FUNCTION pawl.flush(
  p_executor bigint, p_lock text[],
  f_op int[], f_wf text[], f_fence int[], f_step int[], f_seq int[], f_keep boolean[],
  n_op int[], n_id text[], n_nonce text[], n_fence int[], n_name text[], n_version text[], n_input text[], n_extra text[],
  s_op int[], s_wf text[], s_step int[], s_fence int[], s_kind text[], s_name text[], s_target text[],
  s_output text[], s_error text[], s_child text[], s_outcome text[], s_seq int[], s_attempts int[], s_ms float8[],
  e_op int[], e_wf text[], e_key text[], e_seq int[], e_value text[], e_once boolean[],
  m_op int[], m_destination text[], m_id text[], m_topic text[], m_body text[], m_sender text[], m_park boolean[],
  z_op int[], z_wf text[], z_status text[], z_output text[], z_error text[],
  w_op int[], w_wf text[], w_step int[], w_fence int[], w_kind text[], w_name text[], w_target text[],
  w_timeout float8[], w_seq int[],
  p_op int[], p_wf text[]
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz;
  v_bad int[];
  v_watched boolean;
  v_count integer;
  v_result pawl.flush_result;
BEGIN
  PERFORM 1 FROM pawl.workflow w WHERE w.id = ANY (p_lock) ORDER BY w.id FOR NO KEY UPDATE;
  v_now := pawl.clock();

  SELECT array_agg(u.op) FILTER (WHERE w.fence IS DISTINCT FROM u.fence OR w.status <> 'PENDING'),
    bool_or(w.watched)
  INTO v_bad, v_watched
  FROM unnest(f_op, f_wf, f_fence) u(op, wf, fence)
  LEFT JOIN pawl.workflow w ON w.id = u.wf;
  IF v_bad IS NULL THEN
    v_bad := '{}';
  ELSE
    FOR v_result IN SELECT * FROM pawl.flush_refusals(v_bad, f_op, f_wf, f_fence, f_step, f_seq, f_keep) LOOP
      RETURN NEXT v_result;
      IF v_result.outcome = 'kept' THEN
        v_bad := array_remove(v_bad, v_result.op);
      END IF;
    END LOOP;
  END IF;

  IF true = ANY (e_once) THEN
    FOR v_result IN
      SELECT u.op, 'set', NULL::text, NULL::text, NULL::text, NULL::float8
      FROM unnest(e_op, e_wf, e_key, e_seq, e_once) u(op, wf, key, seq, once)
      WHERE u.once AND (
        EXISTS (SELECT 1 FROM pawl.event e WHERE e.workflow_id = u.wf AND e.key = u.key AND e.seq <> u.seq)
        OR EXISTS (SELECT 1 FROM unnest(e_op, e_wf, e_key) v(op, wf, key)
                   WHERE v.op < u.op AND v.wf = u.wf AND v.key = u.key))
    LOOP
      RETURN NEXT v_result;
      v_bad := v_bad || v_result.op;
    END LOOP;
  END IF;

  IF n_op <> '{}' THEN
    FOR v_result IN SELECT * FROM pawl.flush_starts(
      p_executor, v_bad, n_op, n_id, n_nonce, n_fence, n_name, n_version, n_input, n_extra) LOOP
      RETURN NEXT v_result;
      -- A child's step is recorded only if the id is its own.
      IF v_result.outcome = 'exists' THEN
        v_bad := v_bad || v_result.op;
      END IF;
    END LOOP;
  END IF;

  IF m_op <> '{}' THEN
    FOR v_result IN SELECT * FROM pawl.flush_messages(p_executor, v_bad, m_op, m_destination, m_id, m_topic, m_body, m_sender, m_park) LOOP
      RETURN NEXT v_result;
      IF v_result.op >= 0 THEN
        v_bad := v_bad || v_result.op;
      END IF;
    END LOOP;
  END IF;

  IF s_op <> '{}' THEN
    INSERT INTO pawl.step AS t (workflow_id, step_id, fence, seq, attempts, started_at, completed_at,
      kind, name, target, outcome, child_id, output, error)
    SELECT u.wf, u.step, u.fence, u.seq, u.attempts, v_now - coalesce(u.ms, 0) * interval '1 millisecond',
      CASE WHEN u.seq IS NOT NULL THEN v_now END, u.kind, u.name, u.target, u.outcome, u.child, u.output, u.error
    FROM unnest(s_op, s_wf, s_step, s_fence, s_kind, s_name, s_target, s_output, s_error, s_child, s_outcome,
      s_seq, s_attempts, s_ms)
      u(op, wf, step, fence, kind, name, target, output, error, child, outcome, seq, attempts, ms)
    WHERE u.op <> ALL (v_bad)
    ORDER BY u.wf, u.step
    ON CONFLICT (workflow_id, step_id) DO UPDATE
    SET fence = excluded.fence, seq = excluded.seq, attempts = excluded.attempts,
      completed_at = excluded.completed_at, outcome = excluded.outcome, child_id = excluded.child_id,
      output = excluded.output, error = excluded.error
    WHERE t.completed_at IS NULL;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count < cardinality(s_op) THEN
      RETURN QUERY
      SELECT u.op, 'adopted', s.output, s.error, s.outcome, s.seq::float8
      FROM unnest(s_op, s_wf, s_step, s_fence, s_seq) u(op, wf, step, fence, seq)
      JOIN pawl.step s ON s.workflow_id = u.wf AND s.step_id = u.step
      WHERE u.op <> ALL (v_bad) AND s.completed_at IS NOT NULL
        AND (s.fence <> u.fence OR s.seq IS DISTINCT FROM u.seq);
    END IF;
  END IF;

  IF e_op <> '{}' THEN
    INSERT INTO pawl.event (workflow_id, key, seq, created_at, value)
    SELECT u.wf, u.key, u.seq, v_now, u.value
    FROM unnest(e_op, e_wf, e_key, e_seq, e_value) u(op, wf, key, seq, value)
    WHERE u.op <> ALL (v_bad)
    ORDER BY u.wf, u.key, u.seq
    ON CONFLICT (workflow_id, key, seq) DO NOTHING;
  END IF;

  IF z_op <> '{}' THEN
    UPDATE pawl.workflow w SET status = u.status, completed_at = v_now, updated_at = v_now
    FROM unnest(z_op, z_wf, z_status) u(op, wf, status)
    WHERE w.id = u.wf AND u.op <> ALL (v_bad);
    UPDATE pawl.workflow_data d SET output = u.output, error = u.error
    FROM unnest(z_op, z_wf, z_output, z_error) u(op, wf, output, error)
    WHERE d.id = u.wf AND u.op <> ALL (v_bad) AND (u.output IS NOT NULL OR u.error IS NOT NULL);
  END IF;

  IF v_watched AND (e_op <> '{}' OR z_op <> '{}') THEN
    UPDATE pawl.waiter t SET fired = true
    WHERE t.target = ANY (e_wf || z_wf) AND NOT t.fired
      AND (t.kind = 'r' AND t.target = ANY (z_wf)
        OR t.kind = 'e' AND (t.target, t.key) IN (SELECT * FROM unnest(e_wf, e_key)));
    IF FOUND THEN
      RETURN QUERY SELECT -1, 'fired', NULL::text, NULL::text, NULL::text, NULL::float8;
    END IF;
  END IF;

  IF w_op <> '{}' THEN
    RETURN QUERY SELECT * FROM pawl.flush_waits(v_bad, w_op, w_wf, w_step, w_fence, w_kind, w_name, w_target, w_timeout, w_seq);
  END IF;
  IF p_op <> '{}' THEN
    RETURN QUERY SELECT * FROM pawl.flush_parks(v_bad, p_op, p_wf);
  END IF;
END $$;
