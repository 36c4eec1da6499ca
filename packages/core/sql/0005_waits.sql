-- The parts of a flush that wait: first looks, deadlines, parking; and the looks of those who wait outside workflows.

-- Targets that were unknown at the look, so not locked: they may have been started, and may have ended, before they
-- were. True if a waiter of theirs has what it waits for.
CREATE FUNCTION pawl.fire_met(p_targets text[]) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  UPDATE pawl.waiter t SET fired = true
  WHERE t.target = ANY (p_targets) AND NOT t.fired AND CASE t.kind
    WHEN 'r' THEN EXISTS (SELECT 1 FROM pawl.workflow w WHERE w.id = t.target
      AND w.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'))
    WHEN 'e' THEN EXISTS (SELECT 1 FROM pawl.event e WHERE e.workflow_id = t.target AND e.key = t.key) END;
  RETURN FOUND;
END $$;

-- Waits: what is there is taken and recorded at once; the rest gets a row that holds its first deadline.
--   recv       target = topic        getEvent   target = workflow, name = key
--   getResult  target = workflow     sleep
-- The detail of a message that was received is the trace context that came with it.
CREATE FUNCTION pawl.flush_waits(
  p_bad int[], w_op int[], w_wf text[], w_step int[], w_fence int[], w_kind text[], w_name text[],
  w_target text[], w_timeout float8[], w_seq int[]
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_watch text[];
  v_unknown text[];
  v_traced int[];
  v_traces text[];
BEGIN
  IF 'recv' = ANY (w_kind) THEN
    -- Several recv of one topic in one flush are paired with the messages in order.
    WITH want AS (
      SELECT u.op, u.wf, u.step, u.fence, u.topic, u.seq,
        row_number() OVER (PARTITION BY u.wf, u.topic ORDER BY u.op) AS place
      FROM unnest(w_op, w_wf, w_step, w_fence, w_kind, w_target, w_seq) u(op, wf, step, fence, kind, topic, seq)
      LEFT JOIN pawl.step s ON s.workflow_id = ANY (ARRAY[u.wf]) AND s.step_id = u.step
      WHERE u.kind = 'recv' AND u.op <> ALL (p_bad) AND s.completed_at IS NULL
    ), picked AS (
      SELECT w.*, m.id AS message_id, m.body, m.error, m.trace_context
      FROM want w
      JOIN LATERAL (
        SELECT i.id, i.body, i.error, i.trace_context FROM pawl.message i
        WHERE i.destination = w.wf AND i.topic = w.topic AND i.consumed_by IS NULL
        ORDER BY i.sequence OFFSET w.place - 1 LIMIT 1
      ) m ON true
    ), used AS (
      UPDATE pawl.message m SET consumed_by = p.step FROM picked p
      WHERE m.destination = ANY (ARRAY[p.wf]) AND m.id = p.message_id
    ), recorded AS (
      INSERT INTO pawl.step AS t (workflow_id, step_id, fence, seq, started_at, completed_at, kind, target, output, error)
      SELECT p.wf, p.step, p.fence, p.seq, v_now, v_now, 'recv', p.topic, p.body, p.error
      FROM picked p ORDER BY p.wf, p.step
      ON CONFLICT (workflow_id, step_id) DO UPDATE
      SET output = excluded.output, error = excluded.error, seq = excluded.seq, fence = excluded.fence, completed_at = v_now
      WHERE t.completed_at IS NULL
    )
    SELECT array_agg(p.op), array_agg(p.trace_context) INTO v_traced, v_traces
    FROM picked p WHERE p.trace_context IS NOT NULL;
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
    SELECT u.wf, u.step, u.fence, u.seq, v_now, v_now, u.kind, u.name, u.target, w.status, w.output, w.error
    FROM unnest(w_op, w_wf, w_step, w_fence, w_kind, w_name, w_target, w_seq) u(op, wf, step, fence, kind, name, target, seq)
    JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.target])
      AND w.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')
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

  -- Steps named by their keys: `coalesce(completed_at, …)` fits no partial index, so that no plan walks all that wait.
  UPDATE pawl.step s
  SET completed_at = v_now, seq = u.seq, fence = u.fence, outcome = 'timeout'
  FROM unnest(w_op, w_wf, w_step, w_fence, w_seq) u(op, wf, step, fence, seq)
  WHERE s.workflow_id = ANY (ARRAY[u.wf]) AND s.step_id = u.step AND u.op <> ALL (p_bad)
    AND coalesce(s.completed_at, 'infinity') = 'infinity' AND s.deadline <= v_now;

  IF 'getEvent' = ANY (w_kind) OR 'getResult' = ANY (w_kind) THEN
    SELECT array_agg(DISTINCT u.target) INTO v_watch
    FROM unnest(w_op, w_wf, w_step, w_kind, w_target) u(op, wf, step, kind, target)
    JOIN pawl.step s ON s.workflow_id = ANY (ARRAY[u.wf]) AND s.step_id = u.step
    WHERE u.kind IN ('getEvent', 'getResult') AND u.op <> ALL (p_bad)
      AND coalesce(s.completed_at, 'infinity') = 'infinity';
    IF v_watch IS NOT NULL THEN
      SELECT array_agg(i.id) INTO v_unknown FROM unnest(v_watch) i(id)
      WHERE (SELECT true FROM pawl.workflow w WHERE w.id = i.id LIMIT 1) IS NULL;
      IF v_unknown IS NOT NULL THEN
        PERFORM pawl.reserve(v_unknown, true);
      END IF;
      UPDATE pawl.workflow w SET watched = true WHERE w.id = ANY (v_watch) AND NOT w.watched;
      INSERT INTO pawl.waiter (target, kind, key, workflow_id)
      SELECT DISTINCT u.target, CASE u.kind WHEN 'getEvent' THEN 'e' ELSE 'r' END,
        CASE u.kind WHEN 'getEvent' THEN u.name ELSE '' END, u.wf
      FROM unnest(w_op, w_wf, w_step, w_kind, w_name, w_target) u(op, wf, step, kind, name, target)
      JOIN pawl.step s ON s.workflow_id = ANY (ARRAY[u.wf]) AND s.step_id = u.step
      WHERE u.kind IN ('getEvent', 'getResult') AND u.op <> ALL (p_bad)
        AND coalesce(s.completed_at, 'infinity') = 'infinity'
      ORDER BY 1, 2, 3, 4
      ON CONFLICT (target, kind, key, workflow_id, executor) DO UPDATE SET fired = false;
      IF v_unknown IS NOT NULL THEN
        IF pawl.fire_met(v_unknown) THEN
          RETURN QUERY SELECT -1, 'fired', NULL::text, NULL::text, NULL::text, NULL::float8;
        END IF;
      END IF;
    END IF;
  END IF;

  RETURN QUERY
  SELECT u.op, CASE WHEN s.completed_at IS NULL THEN 'wait' ELSE 'value' END, s.output, s.error,
    coalesce(s.outcome, v_traces[array_position(v_traced, u.op)]), pawl.epoch_ms(s.deadline)
  FROM unnest(w_op, w_wf, w_step) u(op, wf, step)
  JOIN pawl.step s ON s.workflow_id = ANY (ARRAY[u.wf]) AND s.step_id = u.step
  WHERE u.op <> ALL (p_bad);
END $$;

-- Parking: the row gives up its owner only if nothing that it waits for is there. The awaited rows are locked
-- like our own, and whoever causes a wake-up locks them first and then looks for waiters: one sees the other.
CREATE FUNCTION pawl.flush_parks(p_bad int[], p_op int[], p_wf text[])
RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_ready int[];
  v_targets text[];
BEGIN
  SELECT coalesce(array_agg(DISTINCT u.op), '{}') INTO v_ready
  FROM unnest(p_op, p_wf) u(op, wf)
  -- OFFSET 0: by the id of each workflow, whatever the planner thinks of walking all that wait.
  LEFT JOIN LATERAL (
    SELECT * FROM pawl.step i WHERE i.workflow_id = u.wf AND i.completed_at IS NULL OFFSET 0) s ON true
  WHERE u.op <> ALL (p_bad) AND (
    s.workflow_id IS NULL
    OR s.deadline <= v_now
    OR CASE s.kind
      WHEN 'recv' THEN (
        SELECT true FROM pawl.message m
        WHERE m.destination = s.workflow_id AND m.topic = s.target AND m.consumed_by IS NULL LIMIT 1)
      WHEN 'getEvent' THEN (
        SELECT true FROM pawl.event e WHERE e.workflow_id = s.target AND e.key = s.name LIMIT 1)
      WHEN 'getResult' THEN (
        SELECT true FROM pawl.workflow t WHERE t.id = s.target
          AND t.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') LIMIT 1)
      ELSE false
    END);

  -- A waiter that fired is gone, and its hint may be lost: whoever parks has one for each of its waits. And what it waits
  -- for has a row that says so: it may have been forgotten since the wait was written.
  SELECT array_agg(DISTINCT s.target) INTO v_targets
  FROM unnest(p_op, p_wf) u(op, wf)
  CROSS JOIN LATERAL (SELECT * FROM pawl.step i WHERE i.workflow_id = u.wf AND i.completed_at IS NULL
    AND i.kind IN ('getEvent', 'getResult') OFFSET 0) s
  WHERE u.op <> ALL (p_bad) AND u.op <> ALL (v_ready);
  INSERT INTO pawl.waiter (target, kind, key, workflow_id)
  SELECT s.target, CASE s.kind WHEN 'getEvent' THEN 'e' ELSE 'r' END,
    CASE s.kind WHEN 'getEvent' THEN s.name ELSE '' END, s.workflow_id
  FROM unnest(p_op, p_wf) u(op, wf)
  CROSS JOIN LATERAL (SELECT * FROM pawl.step i WHERE i.workflow_id = u.wf AND i.completed_at IS NULL
    AND i.kind IN ('getEvent', 'getResult') OFFSET 0) s
  WHERE u.op <> ALL (p_bad) AND u.op <> ALL (v_ready)
  ORDER BY s.target, 2, 3, s.workflow_id
  ON CONFLICT DO NOTHING;
  IF FOUND OR (SELECT true FROM unnest(v_targets) i(id) LEFT JOIN pawl.workflow w ON w.id = ANY (ARRAY[i.id])
    WHERE w.watched IS NOT TRUE LIMIT 1) THEN
    PERFORM pawl.reserve(v_targets, true);
    UPDATE pawl.workflow w SET watched = true WHERE w.id = ANY (v_targets) AND NOT w.watched;
    IF pawl.fire_met(v_targets) THEN
      RETURN QUERY SELECT -1, 'fired', NULL::text, NULL::text, NULL::text, NULL::float8;
    END IF;
  END IF;

  UPDATE pawl.workflow w
  SET owner = NULL, updated_at = v_now, wake_at = (
    SELECT min(s.deadline) FROM pawl.step s WHERE s.workflow_id = w.id AND s.completed_at IS NULL)
  FROM unnest(p_op, p_wf) u(op, wf)
  WHERE w.id = ANY (ARRAY[u.wf]) AND u.op <> ALL (p_bad) AND u.op <> ALL (v_ready);

  RETURN QUERY SELECT u.op, 'ready', NULL::text, NULL::text, NULL::text, NULL::float8 FROM unnest(v_ready) u(op);
END $$;

-- Makes a parked workflow due.
CREATE FUNCTION pawl.rouse(p_id text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  UPDATE pawl.workflow w SET wake_at = pawl.clock()
  WHERE w.id = p_id AND w.status = 'PENDING' AND coalesce(w.owner, 0) = 0 AND w.blocked IS NULL;
END $$;

-- What callers outside workflows wait for: answers what is there, and (p_register) leaves a waiter for the rest.
-- Who follows (s) is told, in `output`, that there is something after what it knows: the last event, with a key the last
-- offset of that stream. NULL: it knows no such workflow, and waits for its start.
CREATE FUNCTION pawl.watch(
  p_executor bigint, p_register boolean, r_ids text[], e_ids text[], e_keys text[], s_ids text[], s_keys text[],
  s_after integer[])
RETURNS TABLE (kind text, id text, key text, status text, output text, error text)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
  IF p_register THEN
    PERFORM 1 FROM pawl.workflow w WHERE w.id = ANY (r_ids || e_ids || s_ids) ORDER BY w.id FOR NO KEY UPDATE;
    INSERT INTO pawl.waiter (target, kind, key, executor)
    SELECT u.id, u.kind, u.key, p_executor
    FROM (SELECT i.id, 'r' AS kind, '' AS key FROM unnest(r_ids) i(id)
          UNION SELECT i.id, 's', i.key FROM unnest(s_ids, s_keys) i(id, key)
          UNION SELECT i.id, 'e', i.key FROM unnest(e_ids, e_keys) i(id, key)) u
    JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.id])
    WHERE CASE u.kind
      WHEN 'e' THEN NOT EXISTS (SELECT 1 FROM pawl.event e WHERE e.workflow_id = u.id AND e.key = u.key)
      ELSE w.status NOT IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') END
    ORDER BY u.id, u.kind, u.key
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
      UPDATE pawl.workflow w SET watched = true WHERE w.id = ANY (r_ids || e_ids || s_ids) AND NOT w.watched;
    END IF;
  END IF;
  RETURN QUERY
  SELECT 'r', w.id, '', w.status, w.output, w.error
  FROM unnest(r_ids) u(id)
  JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.id])
    AND w.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');
  RETURN QUERY
  SELECT 'e', u.id, u.key, '', e.value, NULL::text
  FROM unnest(e_ids, e_keys) u(id, key)
  JOIN LATERAL (SELECT i.value FROM pawl.event i WHERE i.workflow_id = u.id AND i.key = u.key
                ORDER BY i.seq DESC LIMIT 1) e ON true;
  RETURN QUERY
  SELECT 's', u.id, u.key, coalesce(w.status, ''), u.after::text, NULL::text
  FROM unnest(s_ids, s_keys, s_after) u(id, key, after)
  LEFT JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.id]) AND w.status <> 'RESERVED'
  WHERE (w.id IS NULL) = (u.after IS NOT NULL)
    OR w.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')
    -- Not EXISTS, which may be planned as a join with all events.
    OR CASE u.key
      WHEN '' THEN (SELECT true FROM pawl.event i WHERE i.workflow_id = u.id AND i.seq > u.after LIMIT 1)
      ELSE (SELECT i.position > u.after OR i.closed FROM pawl.stream i WHERE i.workflow_id = u.id AND i.key = u.key
            ORDER BY i.position DESC LIMIT 1) END;
END $$;

-- Callers who gave up. One whose waiter is being fired needs no deleting: that is done when it is passed on.
CREATE FUNCTION pawl.unwatch(p_executor bigint, p_ids text[], p_kinds text[], p_keys text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_old pawl.waiter[];
BEGIN
  SELECT coalesce(array_agg(o), '{}') INTO v_old FROM (
    SELECT t.* FROM unnest(p_ids, p_kinds, p_keys) u(id, kind, key)
    -- OFFSET 0: by the key of each, not all waiters of callers first, of which the planner expects few.
    CROSS JOIN LATERAL (
      SELECT * FROM pawl.waiter i WHERE i.target = u.id AND i.kind = u.kind AND i.key = u.key AND i.workflow_id = ''
        AND i.executor = p_executor OFFSET 0 FOR UPDATE SKIP LOCKED) t) o;
  DELETE FROM pawl.waiter t USING unnest(v_old) o
  WHERE t.target = ANY (ARRAY[o.target]) AND t.kind = o.kind AND t.key = o.key AND t.workflow_id = o.workflow_id
    AND t.executor = o.executor;
END $$;
