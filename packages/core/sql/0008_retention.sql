-- Retention: what is over for long enough is deleted, in small batches, each a transaction of its own, by whichever
-- process comes first.

-- How far a pass has come, and when the next one is due. The row's lock is the turn: who does not get it at once
-- leaves the batch to who has it, and if that one dies the next tick of anybody goes on where it was.
CREATE TABLE pawl.upkeep (
  task            text COLLATE "C" PRIMARY KEY,
  next_at         timestamptz NOT NULL,
  after_at        timestamptz NOT NULL DEFAULT '-infinity',
  after_id        text COLLATE "C" NOT NULL DEFAULT '',
  after_waiter    text[] COLLATE "C" NOT NULL DEFAULT '{"","","","",0}'
);
INSERT INTO pawl.upkeep (task, next_at)
SELECT t.task, pawl.clock() + interval '1 minute' FROM (VALUES ('workflow'), ('waiter')) t(task);

-- The end of a batch: the next one goes on behind what this one looked at, or a new pass begins after a pause.
CREATE FUNCTION pawl.upkeep_done(p_task text, p_more boolean, p_at timestamptz, p_id text, p_waiter text[], p_pause_ms float8)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF p_more THEN
    UPDATE pawl.upkeep u SET after_at = p_at, after_id = p_id, after_waiter = p_waiter WHERE u.task = p_task;
  ELSE
    UPDATE pawl.upkeep u SET after_at = DEFAULT, after_id = DEFAULT, after_waiter = DEFAULT,
      next_at = pawl.clock() + p_pause_ms * interval '1 millisecond'
    WHERE u.task = p_task;
  END IF;
  RETURN p_more;
END $$;

-- Deletes finished workflows, walking from the oldest: p_limit looked at, and deleted until about p_rows rows of their
-- journals are. A child is kept as long as its parent runs, which may still ask for its result. A placeholder that
-- holds no message, and for which nobody waits, goes like a workflow that succeeded.
CREATE FUNCTION pawl.sweep_workflows(
  p_completed_ms float8, p_failed_ms float8, p_pause_ms float8, p_limit integer, p_rows integer
) RETURNS TABLE (deleted integer, more boolean)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_completed timestamptz := v_now - p_completed_ms * interval '1 millisecond';
  v_failed timestamptz := v_now - p_failed_ms * interval '1 millisecond';
  v_turn pawl.upkeep;
  r record;
  v_ids text[] := '{}';
  v_reserved text[] := '{}';
  v_seen integer := 0;
  v_rows integer := 0;
BEGIN
  SELECT * INTO v_turn FROM pawl.upkeep u WHERE u.task = 'workflow' AND u.next_at <= v_now FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 0, false;
    RETURN;
  END IF;
  FOR r IN
    SELECT w.id, w.created_at, w.status = 'RESERVED' AS reserved, w.parent_id,
      CASE w.status WHEN 'RESERVED' THEN true WHEN 'SUCCESS' THEN w.completed_at < v_completed
        ELSE w.status IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') AND w.completed_at < v_failed
      END AS over
    FROM pawl.workflow w
    WHERE (w.created_at, w.id COLLATE "POSIX") > (v_turn.after_at, v_turn.after_id) AND w.created_at < greatest(v_completed, v_failed)
    ORDER BY w.created_at, w.id COLLATE "POSIX" LIMIT p_limit
  LOOP
    v_seen := v_seen + 1;
    v_turn.after_at := r.created_at;
    v_turn.after_id := r.id;
    CONTINUE WHEN NOT r.over OR EXISTS (
      SELECT 1 FROM pawl.workflow p WHERE p.id = r.parent_id AND p.status IN ('PENDING', 'ENQUEUED', 'DELAYED'));
    -- Looked at once more under its lock: it may have been resumed or started meanwhile.
    PERFORM 1 FROM pawl.workflow w
    WHERE w.id = r.id AND w.created_at = r.created_at AND CASE w.status
      WHEN 'RESERVED' THEN r.reserved AND w.created_at < v_completed
      WHEN 'SUCCESS' THEN w.completed_at < v_completed
      ELSE w.status IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') AND w.completed_at < v_failed END
    FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    IF r.reserved THEN
      CONTINUE WHEN EXISTS (SELECT 1 FROM pawl.message m WHERE m.destination = r.id)
        OR EXISTS (SELECT 1 FROM pawl.waiter t WHERE t.target = r.id);
      v_reserved := v_reserved || r.id;
      v_rows := v_rows + 1;
    ELSE
      v_ids := v_ids || r.id;
      v_rows := v_rows + 1 + (
        SELECT count(*) FROM (SELECT 1 FROM pawl.step s WHERE s.workflow_id = r.id LIMIT p_rows) s);
    END IF;
    EXIT WHEN v_rows >= p_rows;
  END LOOP;
  PERFORM pawl.forget(v_ids);
  DELETE FROM pawl.workflow w WHERE w.id = ANY (v_reserved) AND w.status = 'RESERVED';
  RETURN QUERY SELECT cardinality(v_ids) + cardinality(v_reserved), pawl.upkeep_done(
    'workflow', v_seen >= p_limit OR v_rows >= p_rows, v_turn.after_at, v_turn.after_id, v_turn.after_waiter, p_pause_ms);
END $$;

-- A workflow's wait that is not over. Of callers it is not known.
CREATE FUNCTION pawl.still_waits(t pawl.waiter) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT 1 FROM pawl.workflow w WHERE w.id = t.workflow_id AND w.status = 'PENDING')
    AND EXISTS (
      SELECT 1 FROM pawl.step s
      WHERE s.workflow_id = t.workflow_id AND s.completed_at IS NULL AND s.target = t.target
        AND CASE t.kind WHEN 'e' THEN s.kind = 'getEvent' AND s.name = t.key ELSE s.kind = 'getResult' END)
$$;

-- Deletes waiters that nobody needs any more: those of callers who gave up, or have died, and those of workflows whose
-- wait timed out. Who still waits after p_age_ms asks by its ticks in any case.
CREATE FUNCTION pawl.sweep_waiters(p_age_ms float8, p_pause_ms float8, p_limit integer)
RETURNS TABLE (deleted integer, more boolean)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_before timestamptz := v_now - p_age_ms * interval '1 millisecond';
  v_turn pawl.upkeep;
  v_after text[];
  v_seen pawl.waiter[];
  v_old pawl.waiter[];
  v_deleted integer;
BEGIN
  SELECT * INTO v_turn FROM pawl.upkeep u WHERE u.task = 'waiter' AND u.next_at <= v_now FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 0, false;
    RETURN;
  END IF;
  v_after := v_turn.after_waiter;
  SELECT coalesce(array_agg(s), '{}') INTO v_seen FROM (
    SELECT t.* FROM pawl.waiter t
    WHERE (t.target, t.kind, t.key, t.workflow_id, t.executor)
      > (v_after[1], v_after[2], v_after[3], v_after[4], v_after[5]::bigint)
    ORDER BY t.target, t.kind, t.key, t.workflow_id, t.executor LIMIT p_limit) s;
  -- Locked in one statement and looked at in the next: a workflow may just be waiting anew, with the same waiter.
  SELECT coalesce(array_agg(o), '{}') INTO v_old FROM (
    SELECT t.* FROM unnest(v_seen) s
    JOIN pawl.waiter t ON t.target = ANY (ARRAY[s.target]) AND t.kind = s.kind AND t.key = s.key
      AND t.workflow_id = s.workflow_id AND t.executor = s.executor
    WHERE s.created_at < v_before AND NOT pawl.still_waits(s)
    FOR UPDATE OF t SKIP LOCKED) o;
  DELETE FROM pawl.waiter t USING unnest(v_old) o
  WHERE t.target = ANY (ARRAY[o.target]) AND t.kind = o.kind AND t.key = o.key AND t.workflow_id = o.workflow_id
    AND t.executor = o.executor AND NOT pawl.still_waits(o);
  GET DIAGNOSTICS v_deleted = ROW_COUNT;
  SELECT ARRAY[s.target, s.kind, s.key, s.workflow_id, s.executor::text] INTO v_after FROM unnest(v_seen[p_limit:p_limit]) s;
  RETURN QUERY SELECT v_deleted, pawl.upkeep_done(
    'waiter', cardinality(v_seen) >= p_limit, v_turn.after_at, v_turn.after_id, v_after, p_pause_ms);
END $$;
