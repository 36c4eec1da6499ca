-- What comes from outside, once: events of webhooks, answers to hooks.

-- Notes that an event was taken, in the transaction that inserts its message or starts its workflow; a second delivery
-- at the same moment waits here for that one's COMMIT. False: it was taken before, and its retention is not over.
CREATE FUNCTION pawl.take_event(p_id text, p_retention_ms float8) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
BEGIN
  -- A sender does not wait for long; and what waits here for somebody's lock has a connection of the pool.
  PERFORM set_config('lock_timeout', '2s', true);
  INSERT INTO pawl.http_request AS r (id, state, fingerprint, owner, generation, attempt, created_at, completed_at, expires_at)
  VALUES (p_id, 'done', 'webhook', '', floor(pawl.epoch_ms(v_now)), 1, v_now, v_now,
    v_now + p_retention_ms * interval '1 millisecond')
  ON CONFLICT (id) DO UPDATE
  SET generation = excluded.generation, created_at = excluded.created_at, completed_at = excluded.completed_at,
    expires_at = excluded.expires_at
  WHERE r.expires_at <= v_now;
  RETURN FOUND;
END $$;

-- The hook of a token, if it can be answered or was; of one whose time is over, or whose workflow has ended without an
-- answer, there is nothing to be said.
CREATE FUNCTION pawl.find_hook(p_hash text) RETURNS SETOF pawl.hook LANGUAGE sql STABLE SET enable_seqscan = off AS $$
  SELECT h.* FROM pawl.hook h
  WHERE h.token_hash = p_hash AND (
    h.answer IS NOT NULL
    -- Not EXISTS, for which all that run may be hashed.
    OR (h.expires_at IS NULL OR h.expires_at > pawl.clock()) AND (
      SELECT w.status IN ('PENDING', 'ENQUEUED', 'DELAYED') FROM pawl.workflow w WHERE w.id = h.workflow_id))
$$;

-- Answers a hook: its workflow gets a message, or an error in the place of one. The first answer stands. Outcomes of
-- op 0: answered; repeated (the same answer once more); taken (another one was first, in `detail`); unknown.
CREATE FUNCTION pawl.answer_hook(p_executor bigint, p_hash text, p_answer text, p_body text, p_error text,
  p_trace text)
RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_hook pawl.hook;
BEGIN
  -- On a connection of the pool, which has the role's defaults; what is acknowledged is to be durable.
  PERFORM set_config('lock_timeout', '2s', true), set_config('synchronous_commit', 'on', true);
  -- The lock of its workflow orders the answers.
  PERFORM 1 FROM pawl.workflow w
  WHERE w.id = (SELECT h.workflow_id FROM pawl.hook h WHERE h.token_hash = p_hash) FOR NO KEY UPDATE;
  SELECT * INTO v_hook FROM pawl.find_hook(p_hash);
  IF NOT FOUND OR v_hook.answer IS NOT NULL THEN
    RETURN QUERY SELECT 0,
      CASE v_hook.answer = p_answer WHEN true THEN 'repeated' WHEN false THEN 'taken' ELSE 'unknown' END,
      NULL::text, NULL::text, v_hook.answer, NULL::float8;
    RETURN;
  END IF;
  UPDATE pawl.hook h SET answer = p_answer WHERE h.token_hash = p_hash;
  RETURN QUERY SELECT 0, 'answered', NULL::text, NULL::text, v_hook.workflow_id, NULL::float8;
  RETURN QUERY SELECT * FROM pawl.flush_messages(p_executor, '{}', false, '{0}', ARRAY[v_hook.workflow_id],
    ARRAY['hook:' || p_hash], ARRAY[v_hook.topic], ARRAY[p_body], ARRAY[NULL::text], '{false}', ARRAY[p_trace]);
  UPDATE pawl.message m SET error = p_error
  WHERE m.destination = v_hook.workflow_id AND m.id = 'hook:' || p_hash AND p_error IS NOT NULL;
END $$;
