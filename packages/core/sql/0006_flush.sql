-- One flush: all that the journal of a process has to write, in one transaction and one round trip.
-- f: every fenced operation   n: starts   s: step records   e: events   m: messages
-- z: ends of workflows        w: waits    p: parks   h: hooks   q: starts that somebody claims   x: entries of streams
-- k: answers to requests, recorded with the ends of their workflows
-- Where every fenced operation is a completed step, s says the same as f, which is left out; its kind is NULL for 'step'.
--
-- Fast unless p_careful: no row that it inserts can be there, because ids are fresh and the workflows are locked,
-- so nothing looks for conflicts (ON CONFLICT costs 12 us a row instead of 6). The rerun of a flush whose answer
-- was lost, and a flush that failed with 23505, are careful.
--
-- p_lock names every row that it touches, if some are not sources; else the sources are locked by the statement
-- that looks at their fences: of a row that it had to wait for, a statement sees the newest version.
--
-- The planner settings hold the plans at index probes: a table that was empty when its plan was cached, or a
-- batch estimated too large, otherwise turns into a scan that grows with the table. A table of a handful of rows is
-- cheapest to walk over by its key, and a plan from then walks when it has grown: so where rows are joined to those of a
-- call it says `id = ANY (ARRAY[u.id])`, which an index can be probed with, and which is no reason to read it in order.
-- For the same reason such a join is ordered by the call's ids, before it.
CREATE FUNCTION pawl.flush(
  p_executor bigint, p_careful boolean, p_lock text[] DEFAULT NULL,
  f_op int[] DEFAULT '{}', f_wf text[] DEFAULT '{}', f_fence int[] DEFAULT '{}', f_step int[] DEFAULT '{}',
  f_seq int[] DEFAULT '{}', f_keep boolean[] DEFAULT '{}',
  n_op int[] DEFAULT '{}', n_id text[] DEFAULT '{}', n_nonce text[] DEFAULT '{}', n_fence int[] DEFAULT '{}',
  n_name text[] DEFAULT '{}', n_version text[] DEFAULT '{}', n_input text[] DEFAULT '{}', n_extra text[] DEFAULT '{}',
  s_op int[] DEFAULT '{}', s_wf text[] DEFAULT '{}', s_step int[] DEFAULT '{}', s_fence int[] DEFAULT '{}',
  s_kind text[] DEFAULT '{}', s_name text[] DEFAULT '{}', s_target text[] DEFAULT '{}', s_output text[] DEFAULT '{}',
  s_error text[] DEFAULT '{}', s_child text[] DEFAULT '{}', s_outcome text[] DEFAULT '{}', s_seq int[] DEFAULT '{}',
  s_attempts int[] DEFAULT '{}', s_ms float8[] DEFAULT '{}',
  e_op int[] DEFAULT '{}', e_wf text[] DEFAULT '{}', e_key text[] DEFAULT '{}', e_seq int[] DEFAULT '{}',
  e_value text[] DEFAULT '{}', e_once boolean[] DEFAULT '{}',
  m_op int[] DEFAULT '{}', m_destination text[] DEFAULT '{}', m_id text[] DEFAULT '{}', m_topic text[] DEFAULT '{}',
  m_body text[] DEFAULT '{}', m_sender text[] DEFAULT '{}', m_park boolean[] DEFAULT '{}',
  m_trace text[] DEFAULT '{}',
  z_op int[] DEFAULT '{}', z_wf text[] DEFAULT '{}', z_fence int[] DEFAULT '{}', z_status text[] DEFAULT '{}',
  z_output text[] DEFAULT '{}', z_error text[] DEFAULT '{}',
  w_op int[] DEFAULT '{}', w_wf text[] DEFAULT '{}', w_step int[] DEFAULT '{}', w_fence int[] DEFAULT '{}',
  w_kind text[] DEFAULT '{}', w_name text[] DEFAULT '{}', w_target text[] DEFAULT '{}', w_timeout float8[] DEFAULT '{}',
  w_seq int[] DEFAULT '{}',
  p_op int[] DEFAULT '{}', p_wf text[] DEFAULT '{}',
  h_op int[] DEFAULT '{}', h_wf text[] DEFAULT '{}', h_hash text[] DEFAULT '{}', h_topic text[] DEFAULT '{}',
  h_ttl float8[] DEFAULT '{}',
  q_op int[] DEFAULT '{}', q_id text[] DEFAULT '{}', q_nonce text[] DEFAULT '{}', q_fence int[] DEFAULT '{}',
  q_name text[] DEFAULT '{}', q_version text[] DEFAULT '{}', q_input text[] DEFAULT '{}', q_queue text[] DEFAULT '{}',
  q_priority int[] DEFAULT '{}', q_partition text[] DEFAULT '{}', q_dedup text[] DEFAULT '{}',
  q_delay float8[] DEFAULT '{}', q_extra text[] DEFAULT '{}',
  x_op int[] DEFAULT '{}', x_wf text[] DEFAULT '{}', x_key text[] DEFAULT '{}', x_step int[] DEFAULT '{}',
  x_value text[] DEFAULT '{}', x_closed boolean[] DEFAULT '{}',
  k_op int[] DEFAULT '{}', k_id text[] DEFAULT '{}', k_owner text[] DEFAULT '{}', k_generation float8[] DEFAULT '{}',
  k_attempt int[] DEFAULT '{}', k_retention float8[] DEFAULT '{}', k_status int[] DEFAULT '{}',
  k_headers text[] DEFAULT '{}', k_body text[] DEFAULT '{}'
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz;
  v_bad int[] := '{}';
  v_watched boolean;
  v_count integer := 0;
  v_unlocked boolean;
  v_result pawl.flush_result;
BEGIN
  IF p_lock IS NOT NULL THEN
    PERFORM 1 FROM pawl.workflow w WHERE w.id = ANY (p_lock) ORDER BY w.id FOR NO KEY UPDATE;
    GET DIAGNOSTICS v_count = ROW_COUNT;
  END IF;
  v_unlocked := v_count < cardinality(p_lock);
  IF f_op = '{}' AND s_op <> '{}' THEN
    f_op := s_op; f_wf := s_wf; f_fence := s_fence; f_step := s_step; f_seq := s_seq;
    f_keep := array_fill(true, ARRAY[cardinality(s_op)]);
  END IF;
  IF f_op <> '{}' THEN
    SELECT count(*), bool_or(l.watched) INTO v_count, v_watched
    FROM (
      SELECT w.watched
      FROM (SELECT * FROM unnest(f_wf, f_fence) r(wf, fence) ORDER BY r.wf COLLATE "C") u
      JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.wf]) AND w.fence = u.fence AND w.status = 'PENDING'
      FOR NO KEY UPDATE OF w
    ) l;
    IF v_count < cardinality(f_op) THEN
      p_careful := true;
      PERFORM 1 FROM pawl.workflow w WHERE w.id = ANY (f_wf) ORDER BY w.id FOR NO KEY UPDATE;
      SELECT array_agg(u.op) FILTER (WHERE w.fence IS DISTINCT FROM u.fence OR w.status <> 'PENDING')
      INTO v_bad
      FROM unnest(f_op, f_wf, f_fence) u(op, wf, fence) LEFT JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.wf]);
      v_bad := coalesce(v_bad, '{}');
      FOR v_result IN SELECT * FROM pawl.flush_refusals(v_bad, f_op, f_wf, f_fence, f_step, f_seq, f_keep) LOOP
        RETURN NEXT v_result;
        IF v_result.outcome = 'kept' THEN
          v_bad := array_remove(v_bad, v_result.op);
        END IF;
      END LOOP;
    END IF;
  END IF;
  IF p_careful AND s_op <> '{}' AND (m_op <> '{}' OR n_op <> '{}' OR q_op <> '{}') THEN
    -- What the first run of this flush sent or started may have been deleted since, and is not to come again.
    FOR v_result IN
      SELECT u.op, CASE WHEN s.fence = u.fence AND s.seq = u.seq THEN 'written' ELSE 'adopted' END,
        s.output, s.error, s.outcome, s.seq::float8
      FROM unnest(s_op, s_wf, s_step, s_fence, s_seq) u(op, wf, step, fence, seq)
      JOIN pawl.step s ON s.workflow_id = ANY (ARRAY[u.wf]) AND s.step_id = u.step
      WHERE s.completed_at IS NOT NULL AND u.op = ANY (m_op || n_op || q_op) AND u.op <> ALL (v_bad)
        AND NOT EXISTS (SELECT 1 FROM pawl.workflow c WHERE c.id = s.child_id AND c.status <> 'RESERVED')
    LOOP
      RETURN NEXT v_result;
      v_bad := v_bad || v_result.op;
    END LOOP;
  END IF;
  v_now := pawl.clock();

  IF e_op <> '{}' AND true = ANY (e_once) THEN
    FOR v_result IN
      SELECT u.op, 'set', NULL::text, NULL::text, NULL::text, NULL::float8
      FROM unnest(e_op, e_wf, e_key, e_seq, e_once) u(op, wf, key, seq, once)
      WHERE u.once AND u.op <> ALL (v_bad) AND (
        EXISTS (SELECT 1 FROM pawl.event e WHERE e.workflow_id = u.wf AND e.key = u.key AND e.seq <> u.seq)
        OR EXISTS (SELECT 1 FROM unnest(e_op, e_wf, e_key) v(op, wf, key)
                   WHERE v.op < u.op AND v.wf = u.wf AND v.key = u.key))
    LOOP
      RETURN NEXT v_result;
      p_careful := true;
      v_bad := v_bad || v_result.op;
    END LOOP;
  END IF;

  IF n_op <> '{}' THEN
    IF p_careful THEN
      FOR v_result IN SELECT * FROM pawl.flush_starts(
        p_executor, v_bad, n_op, n_id, n_nonce, n_fence, n_name, n_version, n_input, n_extra)
      LOOP
        RETURN NEXT v_result;
        -- A child's step is recorded only if the id is its own.
        IF v_result.outcome = 'exists' THEN
          v_bad := v_bad || v_result.op;
        END IF;
      END LOOP;
    ELSE
      PERFORM pawl.flush_fresh_starts(p_executor, n_id, n_nonce, n_fence, n_name, n_version, n_input, n_extra);
    END IF;
  END IF;

  IF q_op <> '{}' THEN
    FOR v_result IN SELECT * FROM pawl.flush_enqueues(v_bad, q_op, q_id, q_nonce, q_fence, q_name, q_version, q_input,
      q_queue, q_priority, q_partition, q_dedup, q_delay, q_extra)
    LOOP
      RETURN NEXT v_result;
      v_bad := v_bad || v_result.op;
      p_careful := true;
    END LOOP;
  END IF;

  IF m_op <> '{}' THEN
    FOR v_result IN SELECT * FROM pawl.flush_messages(
      p_executor, v_bad, v_unlocked, m_op, m_destination, m_id, m_topic, m_body, m_sender, m_park, m_trace)
    LOOP
      RETURN NEXT v_result;
      IF v_result.op >= 0 THEN
        v_bad := v_bad || v_result.op;
        p_careful := true;
      END IF;
    END LOOP;
  END IF;

  IF x_op <> '{}' THEN
    FOR v_result IN SELECT * FROM pawl.flush_streams(
      p_careful, v_bad, x_op, x_wf, x_key, x_step, x_value, x_closed)
    LOOP
      RETURN NEXT v_result;
      v_bad := v_bad || v_result.op;
      p_careful := true;
    END LOOP;
  END IF;

  IF s_op <> '{}' THEN
    IF NOT p_careful THEN
      INSERT INTO pawl.step (workflow_id, step_id, fence, seq, attempts, started_at, completed_at,
        kind, name, target, outcome, child_id, output, error)
      SELECT u.wf, u.step, u.fence, u.seq, u.attempts, v_now - coalesce(u.ms, 0) * interval '1 millisecond',
        CASE WHEN u.seq IS NOT NULL THEN v_now END, coalesce(u.kind, 'step'), u.name, u.target, u.outcome, u.child, u.output, u.error
      FROM unnest(s_wf, s_step, s_fence, s_kind, s_name, s_target, s_output, s_error, s_child, s_outcome, s_seq,
        s_attempts, s_ms)
        u(wf, step, fence, kind, name, target, output, error, child, outcome, seq, attempts, ms);
    ELSE
      INSERT INTO pawl.step AS t (workflow_id, step_id, fence, seq, attempts, started_at, completed_at,
        kind, name, target, outcome, child_id, output, error)
      SELECT u.wf, u.step, u.fence, u.seq, u.attempts, v_now - coalesce(u.ms, 0) * interval '1 millisecond',
        CASE WHEN u.seq IS NOT NULL THEN v_now END, coalesce(u.kind, 'step'), u.name, u.target, u.outcome, u.child, u.output, u.error
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
        JOIN pawl.step s ON s.workflow_id = ANY (ARRAY[u.wf]) AND s.step_id = u.step
        WHERE u.op <> ALL (v_bad) AND s.completed_at IS NOT NULL
          AND (s.fence <> u.fence OR s.seq IS DISTINCT FROM u.seq);
      END IF;
    END IF;
  END IF;

  IF e_op <> '{}' THEN
    INSERT INTO pawl.event (workflow_id, key, seq, created_at, value)
    SELECT u.wf, u.key, u.seq, v_now, u.value
    FROM unnest(e_op, e_wf, e_key, e_seq, e_value) u(op, wf, key, seq, value)
    WHERE u.op <> ALL (v_bad)
    ON CONFLICT (workflow_id, key, seq) DO NOTHING;
  END IF;

  IF h_op <> '{}' THEN
    INSERT INTO pawl.hook (token_hash, workflow_id, topic, created_at, expires_at)
    SELECT u.hash, u.wf, u.topic, v_now, v_now + u.ttl * interval '1 millisecond'
    FROM unnest(h_op, h_wf, h_hash, h_topic, h_ttl) u(op, wf, hash, topic, ttl)
    WHERE u.op <> ALL (v_bad)
    ON CONFLICT (token_hash) DO NOTHING;
  END IF;

  IF z_op <> '{}' THEN
    -- The update itself is lock and fence; in order of the ids, which the nested loop keeps.
    WITH ended AS (
      UPDATE pawl.workflow w
      SET status = u.status, completed_at = v_now, updated_at = v_now, output = u.output, error = u.error
      FROM (SELECT * FROM unnest(z_wf, z_fence, z_status, z_output, z_error) r(wf, fence, status, output, error)
            ORDER BY r.wf COLLATE "C") u
      WHERE w.id = ANY (ARRAY[u.wf]) AND w.fence = u.fence AND w.status = 'PENDING'
      RETURNING w.watched
    ) SELECT count(*), coalesce(v_watched, false) OR coalesce(bool_or(e.watched), false) INTO v_count, v_watched FROM ended e;
    IF v_count < cardinality(z_op) THEN
      RETURN QUERY SELECT u.op, 'unrecorded', NULL::text, NULL::text, NULL::text, NULL::float8 FROM unnest(k_op) u(op);
      RETURN QUERY
      SELECT r.* FROM pawl.flush_refusals(z_op, z_op, z_wf, z_fence, '{}', '{}', '{}') r WHERE r.outcome <> 'written';
    ELSIF k_op <> '{}' THEN
      RETURN QUERY SELECT * FROM pawl.flush_answers(
        v_now, k_op, k_id, k_owner, k_generation, k_attempt, k_retention, k_status, k_headers, k_body);
    END IF;
  END IF;

  IF v_watched AND (e_op <> '{}' OR z_op <> '{}' OR x_op <> '{}') THEN
    UPDATE pawl.waiter t SET fired = true
    WHERE t.target = ANY (e_wf || z_wf || x_wf) AND NOT t.fired
      AND (t.kind IN ('r', 's') AND t.target = ANY (z_wf)
        OR t.kind = 's' AND t.key = '' AND t.target = ANY (e_wf)
        OR t.kind = 's' AND (t.target, t.key) IN (SELECT * FROM unnest(x_wf, x_key))
        OR t.kind = 'e' AND (t.target, t.key) IN (SELECT * FROM unnest(e_wf, e_key)));
    IF FOUND THEN
      RETURN QUERY SELECT -1, 'fired', NULL::text, NULL::text, NULL::text, NULL::float8;
    END IF;
  END IF;

  IF w_op <> '{}' THEN
    RETURN QUERY SELECT * FROM pawl.flush_waits(
      v_bad, w_op, w_wf, w_step, w_fence, w_kind, w_name, w_target, w_timeout, w_seq);
  END IF;
  IF p_op <> '{}' THEN
    RETURN QUERY SELECT * FROM pawl.flush_parks(v_bad, p_op, p_wf);
  END IF;
END $$;

-- A lone workflow's flushes hold one operation. These do the commonest of them without arrays, and answer
-- 'refused', having written nothing, wherever the general function has something to say.
CREATE FUNCTION pawl.flush_one_start(
  p_executor bigint, p_id text, p_nonce text, p_fence integer, p_name text, p_version text, p_input text,
  p_trace text DEFAULT NULL
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
BEGIN
  INSERT INTO pawl.workflow (id, name, status, owner, fence, nonce, version, created_at, updated_at, started_at,
    trace_context, input)
  VALUES (p_id, p_name, 'PENDING', p_executor, p_fence, p_nonce, p_version, v_now, v_now, v_now, p_trace, p_input)
  ON CONFLICT (id) DO NOTHING;
  RETURN CASE WHEN FOUND THEN 'written' ELSE 'refused' END;
END $$;

CREATE FUNCTION pawl.flush_one_step(
  p_wf text, p_fence integer, p_step integer, p_seq integer, p_kind text, p_name text, p_target text, p_output text,
  p_error text, p_attempts integer, p_ms float8
) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz;
BEGIN
  PERFORM 1 FROM pawl.workflow w WHERE w.id = p_wf AND w.fence = p_fence AND w.status = 'PENDING' FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN 'refused';
  END IF;
  v_now := pawl.clock();
  INSERT INTO pawl.step (workflow_id, step_id, fence, seq, attempts, started_at, completed_at, kind, name, target,
    output, error)
  VALUES (p_wf, p_step, p_fence, p_seq, p_attempts, v_now - coalesce(p_ms, 0) * interval '1 millisecond', v_now,
    p_kind, p_name, p_target, p_output, p_error)
  ON CONFLICT (workflow_id, step_id) DO NOTHING;
  RETURN CASE WHEN FOUND THEN 'written' ELSE 'refused' END;
END $$;

CREATE FUNCTION pawl.flush_one_end(p_wf text, p_fence integer, p_status text, p_output text, p_error text)
RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_watched boolean;
BEGIN
  UPDATE pawl.workflow w
  SET status = p_status, completed_at = v_now, updated_at = v_now, output = p_output, error = p_error
  WHERE w.id = p_wf AND w.fence = p_fence AND w.status = 'PENDING'
  RETURNING w.watched INTO v_watched;
  IF NOT FOUND THEN
    RETURN 'refused';
  END IF;
  IF v_watched THEN
    UPDATE pawl.waiter t SET fired = true WHERE t.target = p_wf AND t.kind IN ('r', 's') AND NOT t.fired;
    IF FOUND THEN
      RETURN 'fired';
    END IF;
  END IF;
  RETURN 'written';
END $$;

-- The same for a lone message from outside, and a lone wait for a message or for time. One of the callers who send at this
-- moment tells the destination's process by its own commit (`hint`); the others are answered 'hint', and tell it after it.
CREATE FUNCTION pawl.flush_one_message(
  p_executor bigint, p_destination text, p_id text, p_topic text, p_body text, p_sender text, p_park boolean, p_trace text
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_status text;
  v_owner bigint;
BEGIN
  SELECT w.status, w.owner INTO v_status, v_owner FROM pawl.workflow w WHERE w.id = p_destination FOR NO KEY UPDATE;
  IF v_status = 'PENDING' AND v_owner IS NOT NULL THEN
    INSERT INTO pawl.message (destination, id, topic, created_at, sender, trace_context, body)
    VALUES (p_destination, p_id, p_topic, pawl.clock(), p_sender, p_trace, p_body)
    ON CONFLICT (destination, id) DO NOTHING;
    IF v_owner <> p_executor THEN
      IF NOT pawl.hint('w' || p_destination, v_owner, 1) THEN
        RETURN QUERY SELECT -1, 'hint', p_destination, NULL::text, v_owner::text, NULL::float8;
      END IF;
    END IF;
    RETURN;
  END IF;
  RETURN QUERY SELECT * FROM pawl.flush_messages(p_executor, '{}', v_status IS NULL, '{0}', ARRAY[p_destination],
    ARRAY[p_id], ARRAY[p_topic], ARRAY[p_body], ARRAY[p_sender], ARRAY[p_park], ARRAY[p_trace]);
END $$;

CREATE FUNCTION pawl.flush_one_wait(
  p_wf text, p_fence integer, p_step integer, p_seq integer, p_kind text, p_target text, p_timeout float8
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz;
  v_begun boolean;
  v_step pawl.step;
  v_message pawl.message;
BEGIN
  PERFORM 1 FROM pawl.workflow w WHERE w.id = p_wf AND w.fence = p_fence AND w.status = 'PENDING' FOR NO KEY UPDATE;
  IF FOUND THEN
    SELECT * INTO v_step FROM pawl.step s WHERE s.workflow_id = p_wf AND s.step_id = p_step;
    v_begun := FOUND;
  END IF;
  IF v_begun IS NULL OR v_step.completed_at IS NOT NULL THEN
    RETURN QUERY SELECT 0, 'refused', NULL::text, NULL::text, NULL::text, NULL::float8;
    RETURN;
  END IF;
  v_now := pawl.clock();
  IF p_kind = 'recv' THEN
    SELECT * INTO v_message FROM pawl.message m
    WHERE m.destination = p_wf AND m.topic = p_target AND m.consumed_by IS NULL ORDER BY m.sequence LIMIT 1;
  END IF;
  IF v_message.id IS NOT NULL THEN
    UPDATE pawl.message m SET consumed_by = p_step WHERE m.destination = p_wf AND m.id = v_message.id;
    v_step.output := v_message.body;
    v_step.error := v_message.error;
    v_step.completed_at := v_now;
  ELSE
    IF NOT v_begun THEN
      v_step.deadline := v_now + p_timeout * interval '1 millisecond';
    END IF;
    IF v_step.deadline <= v_now THEN
      v_step.outcome := 'timeout';
      v_step.completed_at := v_now;
    END IF;
  END IF;
  IF NOT v_begun THEN
    INSERT INTO pawl.step (workflow_id, step_id, fence, seq, started_at, completed_at, deadline, kind, target, outcome,
      output, error)
    VALUES (p_wf, p_step, p_fence, CASE WHEN v_step.completed_at IS NOT NULL THEN p_seq END, v_now, v_step.completed_at,
      v_step.deadline, p_kind, p_target, v_step.outcome, v_step.output, v_step.error);
  ELSIF v_step.completed_at IS NOT NULL THEN
    UPDATE pawl.step s SET completed_at = v_now, seq = p_seq, fence = p_fence, outcome = v_step.outcome,
      output = v_step.output, error = v_step.error
    WHERE s.workflow_id = p_wf AND s.step_id = p_step;
  END IF;
  RETURN QUERY SELECT 0, CASE WHEN v_step.completed_at IS NULL THEN 'wait' ELSE 'value' END, v_step.output, v_step.error,
    coalesce(v_step.outcome, v_message.trace_context), pawl.epoch_ms(v_step.deadline);
END $$;
