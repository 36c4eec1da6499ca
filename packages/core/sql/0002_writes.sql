-- The journal's one call. Lock, then look, then write: under READ COMMITTED a statement that waited for a row
-- lock sees only that row anew, so the locks come first and every later statement has a fresh snapshot.
-- Arguments are parallel arrays, one group per kind of write; `op` is the caller's number of an operation.
-- Only what deserves an answer is answered: an operation that is not mentioned was written.

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
  SELECT u.id, '', 'RESERVED', '', p_watched, v_now, v_now
  FROM (SELECT DISTINCT i.id FROM unnest(p_ids) i(id)) u ORDER BY u.id COLLATE "C"
  ON CONFLICT (id) DO NOTHING;
  PERFORM 1 FROM pawl.workflow w WHERE w.id = ANY (p_ids) ORDER BY w.id FOR NO KEY UPDATE;
END $$;

-- Why a fenced write may not land, and what stands there instead. A record of our own comes first: the rerun of a
-- commit whose answer was lost. A record of another write under the same fence is adopted.
CREATE FUNCTION pawl.flush_refusals(
  p_bad int[], f_op int[], f_wf text[], f_fence int[], f_step int[], f_seq int[], f_keep boolean[]
) RETURNS SETOF pawl.flush_result LANGUAGE sql VOLATILE AS $$
  SELECT u.op,
    CASE
      WHEN s.completed_at IS NOT NULL AND s.fence = u.fence AND s.seq = u.seq THEN
        CASE WHEN w.status = 'CANCELLED' AND w.fence = u.fence THEN 'kept' ELSE 'written' END
      WHEN w.id IS NULL OR w.status = 'RESERVED' THEN 'deleted'
      -- Even if the step is recorded: to adopt it would let an old run go on, and call what the new one calls.
      WHEN w.fence <> u.fence THEN 'superseded'
      WHEN s.completed_at IS NOT NULL THEN 'adopted'
      WHEN w.status = 'CANCELLED' AND u.keep THEN 'kept'
      WHEN w.status = 'CANCELLED' THEN 'cancelled'
      WHEN u.step IS NULL AND w.status IN ('SUCCESS', 'ERROR') THEN 'written'
      ELSE 'ended'
    END,
    s.output, s.error, s.outcome, s.seq::float8
  FROM unnest(f_op, f_wf, f_fence, f_step, f_seq, f_keep) u(op, wf, fence, step, seq, keep)
  LEFT JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.wf])
  LEFT JOIN pawl.step s ON s.workflow_id = ANY (ARRAY[u.wf]) AND s.step_id = u.step
  WHERE u.op = ANY (p_bad)
$$;

-- Starts whose ids nobody else can have: no conflict to look for, which halves their cost. Should there be one
-- after all, the whole flush fails with 23505 and comes again as a careful one.
CREATE FUNCTION pawl.flush_fresh_starts(
  p_executor bigint, n_id text[], n_nonce text[], n_fence int[], n_name text[], n_version text[], n_input text[],
  n_extra text[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
BEGIN
  IF n_extra = '{}' THEN
    INSERT INTO pawl.workflow (id, name, status, owner, fence, nonce, version, created_at, updated_at, started_at, input)
    SELECT u.id, u.name, 'PENDING', p_executor, u.fence, u.nonce, u.version, v_now, v_now, v_now, u.input
    FROM unnest(n_id, n_nonce, n_fence, n_name, n_version, n_input) u(id, nonce, fence, name, version, input);
  ELSE
    INSERT INTO pawl.workflow (id, name, status, owner, fence, nonce, version, priority, created_at, updated_at,
      started_at, deadline, timeout_ms, parent_id, input, auth_user, auth_roles, attributes, trace_context)
    SELECT u.id, u.name, 'PENDING', p_executor, u.fence, u.nonce, u.version, coalesce((u.x ->> 'priority')::integer, 0),
      v_now, v_now, v_now,
      CASE WHEN u.x ? 'timeout' THEN v_now + (u.x ->> 'timeout')::float8 * interval '1 millisecond'
           WHEN u.x ? 'deadline' THEN to_timestamp((u.x ->> 'deadline')::float8 / 1000) END,
      (u.x ->> 'timeout')::float8, u.x ->> 'parent', u.input, u.x ->> 'user', u.x ->> 'roles', u.x -> 'attributes',
      u.x ->> 'trace'
    FROM (SELECT r.*, r.extra::jsonb AS x
          FROM unnest(n_id, n_nonce, n_fence, n_name, n_version, n_input, n_extra)
            r(id, nonce, fence, name, version, input, extra)) u;
  END IF;
END $$;

-- Starts under ids that somebody may have. `extra` is JSON for what most starts do not have.
CREATE FUNCTION pawl.flush_starts(
  p_executor bigint, p_bad int[],
  n_op int[], n_id text[], n_nonce text[], n_fence int[], n_name text[], n_version text[], n_input text[], n_extra text[]
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_count integer;
  v_started text[];
BEGIN
  INSERT INTO pawl.workflow (id, name, status, owner, fence, nonce, version, priority, created_at, updated_at,
    started_at, deadline, timeout_ms, parent_id, input, auth_user, auth_roles, attributes, trace_context)
  SELECT u.id, u.name, 'PENDING', p_executor, u.fence, u.nonce, u.version, coalesce((u.x ->> 'priority')::integer, 0),
    v_now, v_now, v_now,
    CASE WHEN u.x ? 'timeout' THEN v_now + (u.x ->> 'timeout')::float8 * interval '1 millisecond'
         WHEN u.x ? 'deadline' THEN to_timestamp((u.x ->> 'deadline')::float8 / 1000) END,
    (u.x ->> 'timeout')::float8, u.x ->> 'parent', u.input, u.x ->> 'user', u.x ->> 'roles', u.x -> 'attributes',
    u.x ->> 'trace'
  FROM (
    SELECT r.*, r.extra::jsonb AS x
    FROM unnest(n_op, n_id, n_nonce, n_fence, n_name, n_version, n_input, n_extra)
      r(op, id, nonce, fence, name, version, input, extra)
    WHERE r.op <> ALL (p_bad)
  ) u
  ORDER BY u.id COLLATE "C", u.op
  ON CONFLICT (id) DO NOTHING;
  GET DIAGNOSTICS v_count = ROW_COUNT;

  IF v_count = cardinality(n_op) THEN
    RETURN;
  END IF;

  -- Some ids were there: placeholders become workflows, the rest is answered.
  UPDATE pawl.workflow w
  SET name = u.name, status = 'PENDING', nonce = u.nonce, version = u.version,
    owner = p_executor, fence = u.fence, priority = coalesce((u.x ->> 'priority')::integer, 0),
    created_at = v_now, updated_at = v_now, started_at = v_now, wake_at = NULL,
    deadline = CASE WHEN u.x ? 'timeout' THEN v_now + (u.x ->> 'timeout')::float8 * interval '1 millisecond'
                    WHEN u.x ? 'deadline' THEN to_timestamp((u.x ->> 'deadline')::float8 / 1000) END,
    timeout_ms = (u.x ->> 'timeout')::float8, parent_id = u.x ->> 'parent', input = u.input,
    auth_user = u.x ->> 'user', auth_roles = u.x ->> 'roles', attributes = u.x -> 'attributes',
    trace_context = u.x ->> 'trace'
  FROM (
    SELECT DISTINCT ON (r.id COLLATE "C") r.*, r.extra::jsonb AS x
    FROM unnest(n_op, n_id, n_nonce, n_fence, n_name, n_version, n_input, n_extra)
      r(op, id, nonce, fence, name, version, input, extra)
    WHERE r.op <> ALL (p_bad)
    ORDER BY r.id COLLATE "C", r.op
  ) u
  WHERE w.id = ANY (ARRAY[u.id]) AND w.status = 'RESERVED';

  -- output: the input that is stored; detail: name, parent and fence of the one that has the id.
  RETURN QUERY
  SELECT u.op, CASE WHEN w.nonce = u.nonce THEN 'started' ELSE 'exists' END,
    CASE WHEN w.nonce <> u.nonce THEN w.input END, w.status,
    json_build_object('name', w.name, 'parent', w.parent_id, 'fence', w.fence)::text, NULL::float8
  FROM unnest(n_op, n_id, n_nonce, n_fence) u(op, id, nonce, fence)
  JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.id])
  WHERE u.op <> ALL (p_bad) AND (w.nonce <> u.nonce OR w.fence <> u.fence OR w.status <> 'PENDING');
END $$;

-- Messages. The destinations are locked, so the sequence is drawn in the order of the commits. With p_unlocked some
-- were not there to be locked; one that was started since would park without seeing its message, so what the look
-- finds is locked before anything is written.
CREATE FUNCTION pawl.flush_messages(
  p_executor bigint, p_bad int[], p_unlocked boolean,
  m_op int[], m_destination text[], m_id text[], m_topic text[], m_body text[], m_sender text[], m_park boolean[],
  m_trace text[]
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE AS $$
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
  LEFT JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.destination])
  WHERE u.op <> ALL (p_bad);
  IF p_unlocked THEN
    PERFORM 1 FROM pawl.workflow w WHERE w.id = ANY (m_destination) ORDER BY w.id FOR NO KEY UPDATE;
  END IF;
  IF v_park IS NOT NULL THEN
    PERFORM pawl.reserve(v_park, false);
  END IF;
  IF v_missing IS NOT NULL THEN
    RETURN QUERY SELECT u.op, 'missing', NULL::text, NULL::text, NULL::text, NULL::float8 FROM unnest(v_missing) u(op);
    p_bad := p_bad || v_missing;
  END IF;

  INSERT INTO pawl.message (destination, id, topic, created_at, sender, trace_context, body)
  SELECT u.destination, u.id, u.topic, v_now, u.sender, u.trace, u.body
  FROM unnest(m_op, m_destination, m_id, m_topic, m_body, m_sender, m_trace)
    u(op, destination, id, topic, body, sender, trace)
  WHERE u.op <> ALL (p_bad)
  ORDER BY u.op
  ON CONFLICT (destination, id) DO NOTHING;

  SELECT bool_or(w.owner IS NULL), bool_or(w.owner <> p_executor) INTO v_parked, v_abroad
  FROM pawl.workflow w WHERE w.id = ANY (m_destination) AND w.status = 'PENDING';
  IF v_parked THEN
    UPDATE pawl.workflow w SET wake_at = v_now
    WHERE w.id = ANY (m_destination) AND w.status = 'PENDING' AND coalesce(w.owner, 0) = 0 AND w.blocked IS NULL
      AND (w.wake_at IS NULL OR w.wake_at > v_now)
      -- Not EXISTS, which may be planned as a join with all steps that wait.
      AND (SELECT true FROM pawl.step s JOIN unnest(m_destination, m_topic) u(destination, topic) ON s.target = u.topic
        WHERE s.workflow_id = w.id AND u.destination = w.id AND s.completed_at IS NULL AND s.kind = 'recv' LIMIT 1);
    IF FOUND THEN
      RETURN QUERY SELECT -1, 'ready', NULL::text, NULL::text, NULL::text, NULL::float8;
    END IF;
  END IF;
  IF v_abroad THEN
    RETURN QUERY
    SELECT DISTINCT -1, 'hint', w.id, NULL::text, w.owner::text, NULL::float8
    FROM pawl.workflow w
    WHERE w.id = ANY (m_destination) AND w.status = 'PENDING' AND coalesce(w.owner, p_executor) <> p_executor;
  END IF;
END $$;
