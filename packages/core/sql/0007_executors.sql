-- Executors: hand-over, takeover, and the one call that a process makes twice a second.

-- Hands back what an executor still runs: all of it (p_gone false), or because it is gone, which counts as an
-- attempt. In batches; answers how many. A row that somebody holds is left for the next tick.
CREATE FUNCTION pawl.release(p_executor bigint, p_gone boolean, p_limit integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz;
  v_ids text[];
  v_count integer;
BEGIN
  SELECT array_agg(u.id) INTO v_ids
  FROM (SELECT w.id FROM pawl.workflow w WHERE w.owner = p_executor AND w.status = 'PENDING' LIMIT p_limit
        FOR NO KEY UPDATE SKIP LOCKED) u;
  IF v_ids IS NULL THEN
    RETURN 0;
  END IF;
  v_now := pawl.clock();
  UPDATE pawl.workflow w
  SET owner = NULL, wake_at = v_now, updated_at = v_now, attempts = w.attempts + p_gone::integer
  WHERE w.id = ANY (v_ids) AND coalesce(w.owner, 0) = p_executor AND w.status = 'PENDING';
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN greatest(v_count, 1);
END $$;

-- Hands back what this executor owns and does not know of: a claim whose answer was lost, a block that could not be
-- written. Only what it had before p_before, a time of this clock that it was told before it made the list.
CREATE FUNCTION pawl.disown(p_executor bigint, p_known text[], p_before float8) RETURNS integer
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_ids text[];
  v_count integer;
BEGIN
  SELECT array_agg(w.id) INTO v_ids FROM pawl.workflow w
  WHERE w.owner = p_executor AND w.status = 'PENDING' AND w.updated_at < to_timestamp(p_before / 1000)
    AND NOT EXISTS (SELECT 1 FROM unnest(p_known) k(id) WHERE k.id = w.id);
  IF v_ids IS NULL THEN
    RETURN 0;
  END IF;
  PERFORM 1 FROM pawl.workflow w WHERE w.id = ANY (v_ids) ORDER BY w.id FOR NO KEY UPDATE;
  UPDATE pawl.workflow w SET owner = NULL, wake_at = v_now, updated_at = v_now
  WHERE w.id = ANY (v_ids) AND coalesce(w.owner, 0) = p_executor AND w.status = 'PENDING';
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END $$;

-- Declares an executor gone, if it still is: its lock is free (and held here meanwhile) or its lease is over,
-- and it was not re-armed since the suspicion.
CREATE FUNCTION pawl.declare_gone(p_number bigint, p_armed integer, p_class integer, p_alone boolean)
RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  r pawl.executor;
BEGIN
  SELECT * INTO r FROM pawl.executor e WHERE e.number = p_number FOR UPDATE;
  IF r.number IS NULL OR r.gone_at IS NOT NULL OR r.armed <> p_armed THEN
    RETURN r.gone_at IS NOT NULL;
  END IF;
  IF NOT p_alone AND r.lease_until > v_now
    AND NOT (r.locked AND pg_try_advisory_xact_lock(p_class, r.number::integer)) THEN
    RETURN false;
  END IF;
  UPDATE pawl.executor e SET gone_at = v_now WHERE e.number = p_number;
  RETURN true;
END $$;

-- Says of workflows that are due for so long that no living process serves them, and takes it back from those that
-- p_executor serves. Of the due ones it looks at the oldest: what is served is claimed in that order and makes room.
-- Rows: what became stranded, with the reason; without one, what is no longer. Locks, then looks once more: a claim
-- may have come in between, and so may a launch.
CREATE FUNCTION pawl.strand(p_executor bigint, p_due_ms float8, p_limit integer)
RETURNS TABLE (id text, name text, version text, reason text)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_ids text[];
  v_me pawl.executor;
BEGIN
  WITH due AS (
    SELECT w.id, w.name, w.version FROM pawl.workflow w
    WHERE w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NULL
      AND w.wake_at <= v_now - p_due_ms * interval '1 millisecond'
    ORDER BY w.wake_at LIMIT p_limit
  ), kinds AS (
    SELECT k.* FROM (SELECT DISTINCT d.name, d.version FROM due d OFFSET 0) k WHERE NOT pawl.is_served(k.name, k.version)
  )
  SELECT array_agg(d.id) INTO v_ids
  FROM due d JOIN kinds k ON k.name = d.name AND k.version IS NOT DISTINCT FROM d.version;
  IF v_ids IS NOT NULL THEN
    SELECT array_agg(l.id) INTO v_ids
    FROM (SELECT w.id FROM pawl.workflow w WHERE w.id = ANY (v_ids) FOR NO KEY UPDATE SKIP LOCKED) l;
    RETURN QUERY
    UPDATE pawl.workflow w
    SET stranded = true, updated_at = v_now, blocked = format(
      'No living process serves workflow "%s"%s. It goes on when one starts that does, or with resumeWorkflow() on the version of the process that calls it.',
      w.name, coalesce(' in version ' || w.version, ''))
    -- CASE hides the conditions of the partial indexes from the planner, which is to use the ids.
    WHERE w.id = ANY (v_ids) AND CASE WHEN w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NULL
      THEN NOT pawl.is_served(w.name, w.version) END
    RETURNING w.id, w.name, w.version, w.blocked;
  END IF;

  SELECT * INTO v_me FROM pawl.executor e WHERE e.number = p_executor AND e.gone_at IS NULL;
  SELECT array_agg(l.id) INTO v_ids FROM (
    SELECT w.id FROM pawl.workflow w
    WHERE w.stranded AND w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NOT NULL
      AND w.name = ANY (v_me.names) AND (v_me.any_version OR w.version IS NULL
        OR (w.name, w.version) IN (SELECT s.name, s.version FROM unnest(v_me.names, v_me.versions) s(name, version)))
    LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED) l;
  IF v_ids IS NOT NULL THEN
    RETURN QUERY
    UPDATE pawl.workflow w SET stranded = false, blocked = NULL, updated_at = v_now
    WHERE w.id = ANY (v_ids)
    RETURNING w.id, w.name, w.version, NULL::text;
  END IF;
END $$;

-- One round trip for all that a process asks twice a second. Rows: (what, id, detail, at).
CREATE FUNCTION pawl.tick(
  p_executor bigint, p_class integer, p_lease_ms float8, p_renew boolean, p_armed integer, p_locked boolean, p_alone boolean,
  p_recv text[], p_topics text[], p_results text[], p_events text[], p_keys text[], p_error text,
  p_names text[], p_versions text[], p_schedules text[]
) RETURNS TABLE (what text, id text, detail text, at float8)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_due text[];
BEGIN
  IF p_renew THEN
    UPDATE pawl.executor e
    SET lease_until = v_now + p_lease_ms * interval '1 millisecond', armed = p_armed, locked = p_locked
    WHERE e.number = p_executor AND e.gone_at IS NULL;
    IF NOT FOUND THEN
      RETURN QUERY SELECT 'lost', NULL::text, NULL::text, NULL::float8;
      RETURN;
    END IF;
  END IF;
  -- Something was registered since the last time.
  IF p_names IS NOT NULL THEN
    UPDATE pawl.executor e SET names = p_names, versions = p_versions WHERE e.number = p_executor;
  END IF;

  SELECT array_agg(u.id) INTO v_due FROM (
    SELECT w.id FROM pawl.workflow w
    WHERE w.deadline <= v_now AND w.deadline IS NOT NULL AND w.status IN ('PENDING', 'ENQUEUED', 'DELAYED')
    -- A row that somebody holds must not hold up the tick, which renews the lease.
    ORDER BY w.deadline LIMIT 200 FOR NO KEY UPDATE SKIP LOCKED) u;
  IF v_due IS NOT NULL THEN
    RETURN QUERY SELECT 'cancelled', c.id, c.owner::text, c.fence::float8 FROM pawl.cancel(v_due, false, true, p_error) c;
  END IF;

  RETURN QUERY SELECT 'cancelled', w.id, w.owner::text, w.fence::float8
  FROM pawl.workflow w WHERE w.owner = p_executor AND w.status = 'CANCELLED' LIMIT 500;
  IF EXISTS (SELECT 1 FROM pawl.waiter t WHERE t.fired) THEN
    RETURN QUERY SELECT 'fired', NULL::text, NULL::text, NULL::float8;
  END IF;
  -- The oldest that is due, and since when.
  RETURN QUERY SELECT 'ready', w.id, NULL::text, pawl.epoch_ms(w.wake_at) FROM pawl.workflow w
  WHERE w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NULL AND w.wake_at <= v_now
  ORDER BY w.wake_at LIMIT 1;
  IF EXISTS (SELECT 1 FROM pawl.queue q WHERE NOT q.paused
    AND (SELECT true FROM pawl.workflow w WHERE w.status = 'ENQUEUED' AND w.queue_name = q.name LIMIT 1)) THEN
    RETURN QUERY SELECT 'queued', NULL::text, NULL::text, NULL::float8;
  END IF;
  RETURN QUERY SELECT 'delayed', NULL::text, NULL::text, pawl.epoch_ms(w.wake_at) FROM pawl.workflow w
  WHERE w.status = 'DELAYED' ORDER BY w.wake_at LIMIT 1;
  IF EXISTS (SELECT 1 FROM pawl.workflow w
    WHERE w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NOT NULL AND w.stranded) THEN
    RETURN QUERY SELECT 'stranded', NULL::text, NULL::text, NULL::float8
    FROM pawl.executor e CROSS JOIN unnest(e.names, e.versions) s(name, version)
    -- Three probes of the index instead of one condition: it may hold many of other versions.
    CROSS JOIN LATERAL (
      SELECT 1 FROM pawl.workflow w WHERE w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NOT NULL
        AND w.stranded AND w.name = s.name AND w.version = s.version
      UNION ALL
      SELECT 1 FROM pawl.workflow w WHERE w.status = 'PENDING' AND w.owner IS NULL AND w.blocked IS NOT NULL
        AND w.stranded AND w.name = s.name AND w.version IS NULL
      UNION ALL
      SELECT 1 FROM pawl.workflow w WHERE e.any_version AND w.status = 'PENDING' AND w.owner IS NULL
        AND w.blocked IS NOT NULL AND w.stranded AND w.name = s.name
    ) mine
    WHERE e.number = p_executor LIMIT 1;
  END IF;
  RETURN QUERY
  SELECT CASE WHEN e.gone_at IS NULL THEN 'suspect' ELSE 'gone' END, e.number::text, e.armed::text, NULL::float8
  FROM pawl.executor e
  WHERE e.number <> p_executor AND CASE
    -- One that was declared gone too early may have gone on starting workflows; and its taker may have died.
    -- Not EXISTS, which may be planned as a hash of all workflows.
    WHEN e.gone_at IS NOT NULL THEN (
      SELECT true FROM pawl.workflow w WHERE w.owner = e.number AND w.status = 'PENDING' LIMIT 1)
    -- Nobody could renew while the server was down: leases count from its start when that is later.
    ELSE p_alone OR e.lease_until <= v_now
        AND pg_postmaster_start_time() + p_lease_ms * interval '1 millisecond' <= clock_timestamp()
      OR e.locked AND pg_try_advisory_xact_lock_shared(p_class, e.number::integer)
    END;
  IF p_recv <> '{}' THEN
    RETURN QUERY
    SELECT 'message', u.id, u.topic, NULL::float8 FROM unnest(p_recv, p_topics) u(id, topic)
    WHERE (SELECT true FROM pawl.message m
           WHERE m.destination = u.id AND m.topic = u.topic AND m.consumed_by IS NULL LIMIT 1);
  END IF;
  IF p_results <> '{}' THEN
    RETURN QUERY
    SELECT 'result', w.id, NULL::text, NULL::float8 FROM unnest(p_results) u(id) JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.id])
      AND w.status IN ('SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');
  END IF;
  IF p_events <> '{}' THEN
    RETURN QUERY
    SELECT 'event', u.id, u.key, NULL::float8 FROM unnest(p_events, p_keys) u(id, key)
    WHERE (SELECT true FROM pawl.event e WHERE e.workflow_id = u.id AND e.key = u.key LIMIT 1);
  END IF;
  -- Other code of what it serves, which may claim the same with any_version. What that cannot go on with is blocked.
  RETURN QUERY
  SELECT 'other', NULL::text, string_agg(DISTINCT s.name || ' ' || s.version, E'\n'), NULL::float8
  FROM pawl.executor me, pawl.executor e, unnest(e.names, e.versions) s(name, version)
  WHERE me.number = p_executor AND me.any_version AND e.gone_at IS NULL AND s.name = ANY (me.names)
    AND (s.name, s.version) NOT IN (SELECT m.name, m.version FROM unnest(me.names, me.versions) m(name, version))
  HAVING count(*) > 0;
  IF p_schedules <> '{}' THEN
    RETURN QUERY SELECT 'schedule', NULL::text, NULL::text, pawl.epoch_ms(min(s.next_at))
    FROM pawl.schedule s WHERE s.name = ANY (p_schedules) AND NOT s.paused HAVING min(s.next_at) IS NOT NULL;
  END IF;
  RETURN QUERY SELECT 'upkeep', u.task, NULL::text, NULL::float8 FROM pawl.upkeep u WHERE u.next_at <= v_now;
  RETURN QUERY SELECT 'clock', NULL::text, NULL::text, pawl.epoch_ms(pawl.clock());
END $$;
