-- Debouncing: calls of one workflow and key within a period become one run, with the input of the last. The run is there
-- from the first call on, DELAYED, and each call moves it; when it is due it is promoted like any other, and the next
-- call finds none. There is no state beside it: what cancels, deletes or resumes it need not know of keys.

-- Calls of one key take turns. That lock comes before all others, so nobody waits for it who holds a row; under it a
-- pending run can only go, none can come. Then the rows, in the order of the ids: the pending run and (p_caller) the
-- workflow that calls, whose record is written in the same transaction. Then the look.
--
-- p_again: an earlier try of this call may have been committed. It has left a run of its id, or, as long as nobody has
-- called since, its nonce in the run that it moved. Else it is as if the call came only now: it was not answered yet.
--
-- A run that is due, and that nobody has begun yet, is not put off: it gets the input and is made due here. The look for
-- what is due passes over rows that somebody holds, and calls that never stop would hold this one for ever.
CREATE FUNCTION pawl.debounce(
  p_key text, p_period_ms float8, p_max_wait_ms float8, p_again boolean, p_caller text, p_id text, p_nonce text,
  p_fence integer, p_name text, p_input text, p_extra text
) RETURNS TABLE (workflow_id text, due_ms float8) LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  x jsonb := p_extra::jsonb;
  v_now timestamptz;
  v_wake timestamptz;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(p_name || ' ' || p_key, $q$pawl.workflow$q$::regclass::oid::bigint));
  v_now := pawl.clock();
  IF p_again THEN
    SELECT w.id, w.wake_at INTO workflow_id, v_wake FROM pawl.workflow w
    WHERE w.name = p_name AND w.debounce_key = p_key AND (w.id = p_id OR w.nonce = p_nonce);
  END IF;
  IF workflow_id IS NULL THEN
    -- Not an equality, which would tempt the planner to walk over all that is delayed.
    SELECT w.id INTO workflow_id FROM pawl.workflow w
    WHERE w.name = p_name AND w.debounce_key = p_key AND w.status BETWEEN 'DELAYED' AND 'DELAYED';
    PERFORM 1 FROM pawl.workflow w WHERE w.id = ANY (ARRAY[workflow_id, p_caller]) ORDER BY w.id FOR NO KEY UPDATE;
    v_now := pawl.clock();
    SELECT CASE WHEN w.wake_at <= v_now THEN v_now ELSE greatest(v_now, least(v_now + p_period_ms * interval '1 millisecond',
      w.created_at + p_max_wait_ms * interval '1 millisecond')) END INTO v_wake
    FROM pawl.workflow w WHERE w.id = workflow_id AND (w.status = 'DELAYED') IS TRUE;
    IF FOUND THEN
      UPDATE pawl.workflow w
      SET status = CASE WHEN v_wake > v_now THEN 'DELAYED' ELSE 'PENDING' END, wake_at = v_wake, updated_at = v_now,
        input = p_input, nonce = p_nonce, timeout_ms = (x ->> 'timeout')::float8, auth_user = x ->> 'user',
        auth_roles = x ->> 'roles', trace_context = x ->> 'trace'
      WHERE w.id = workflow_id;
    ELSE
      workflow_id := p_id;
      v_wake := v_now + p_period_ms * interval '1 millisecond';
      INSERT INTO pawl.workflow (id, name, status, fence, nonce, position, created_at, updated_at, wake_at, timeout_ms,
        debounce_key, auth_user, auth_roles, trace_context, input)
      VALUES (p_id, p_name, 'DELAYED', p_fence, p_nonce, nextval($q$pawl.queue_position$q$), v_now, v_now, v_wake,
        (x ->> 'timeout')::float8, p_key, x ->> 'user', x ->> 'roles', x ->> 'trace', p_input);
    END IF;
  END IF;
  due_ms := greatest(0, extract(epoch FROM v_wake - v_now) * 1000);
  RETURN NEXT;
END $$;
