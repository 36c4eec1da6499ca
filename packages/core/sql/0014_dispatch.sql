-- Taking workflows out of queues. Lock the queue, where it has limits that all processes share; look; take.

-- What is delayed no longer: into its queue, behind those that are there; without a queue it is due. due: there is
-- something of the latter; more: not all of it was looked at.
CREATE FUNCTION pawl.promote(p_limit integer, OUT due boolean, OUT more boolean) LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
  v_ids text[];
BEGIN
  SELECT array_agg(d.id ORDER BY d.wake_at, d.position) INTO v_ids FROM (
    SELECT w.id, w.wake_at, w.position FROM pawl.workflow w WHERE w.status = 'DELAYED' AND w.wake_at <= v_now
    ORDER BY w.wake_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED) d;
  IF v_ids IS NULL THEN
    RETURN;
  END IF;
  more := cardinality(v_ids) = p_limit;
  UPDATE pawl.workflow w
  SET status = CASE WHEN w.queue_name IS NULL THEN 'PENDING' ELSE 'ENQUEUED' END,
    wake_at = CASE WHEN w.queue_name IS NULL THEN v_now ELSE w.wake_at END, position = u.position, updated_at = v_now
  FROM (SELECT i.id, nextval($q$pawl.queue_position$q$) AS position FROM unnest(v_ids) i(id)) u
  WHERE w.id = ANY (ARRAY[u.id]);
  due := EXISTS (SELECT 1 FROM pawl.workflow w WHERE w.id = ANY (v_ids) AND w.queue_name IS NULL);
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

-- The caller holds the rows of the queues.
CREATE FUNCTION pawl.log_starts(p_queues text[], p_counts integer[], p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_merged text[];
BEGIN
  WITH merged AS (
    UPDATE pawl.queue_start s SET at = p_now, count = s.count + u.count
    FROM unnest(p_queues, p_counts) u(name, count) JOIN pawl.queue q ON q.name = u.name
    WHERE s.queue_name = u.name AND s.at > p_now - q.rate_period_ms * interval '1 microsecond'
      AND s.since > p_now - q.rate_period_ms * interval '1 microsecond'
    RETURNING s.queue_name
  ) SELECT coalesce(array_agg(m.queue_name), '{}') INTO v_merged FROM merged m;
  INSERT INTO pawl.queue_start (queue_name, since, at, count)
  SELECT u.name, p_now, p_now, u.count FROM unnest(p_queues, p_counts) u(name, count) WHERE u.name <> ALL (v_merged);
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
  v_keys text[] := '{}';
  v_rooms integer[] := '{}';
  v_key text := q.partition_after;
  v_next text;
  v_room integer;
  v_wrapped boolean := false;
  v_each integer := 0;
  v_count integer := 0;
  v_before integer;
  v_found text[] := '{}';
  v_last text;
BEGIN
  SELECT coalesce(array_agg(h.id), '{}') INTO v_ids FROM (
    SELECT w.id FROM pawl.workflow w
    WHERE w.status = 'ENQUEUED' AND w.queue_name = q.name AND w.partition_key IS NULL
      AND w.name = ANY (p_names) AND (p_any_version OR w.version IS NULL
        OR (w.name, w.version) IN (SELECT r.name, r.version FROM unnest(p_names, p_versions) r(name, version)))
    -- By the key too, although it is NULL: IS NULL does not tell the planner that the index is in order, and it would sort
    -- all that waits: 40 ms a claim at 20,000.
    ORDER BY w.partition_key, w.rank, w.position LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED) h;
  p_limit := p_limit - cardinality(v_ids);
  IF p_limit = 0 OR NOT q.partitioned AND (
    SELECT true FROM pawl.workflow w WHERE w.status = 'ENQUEUED' AND w.queue_name = q.name AND w.partition_key > '' LIMIT 1
  ) IS NULL THEN
    RETURN v_ids;
  END IF;

  -- The partitions in which something waits and may be begun, from where the last look ended: two probes of the index
  -- each, and no more of them than can be served.
  FOR v_look IN 1..500 LOOP
    SELECT w.partition_key INTO v_next FROM pawl.workflow w
    WHERE w.status = 'ENQUEUED' AND w.queue_name = q.name AND w.partition_key > v_key ORDER BY w.partition_key LIMIT 1;
    IF v_next IS NULL AND NOT v_wrapped THEN
      v_wrapped := true;
      v_key := '';
      CONTINUE;
    END IF;
    EXIT WHEN v_next IS NULL OR v_wrapped AND v_next > q.partition_after;
    v_key := v_next;
    v_room := p_limit;
    IF q.partition_concurrency IS NOT NULL THEN
      SELECT least(p_limit, q.partition_concurrency - count(*)) INTO v_room FROM (
        SELECT 1 FROM pawl.workflow w WHERE w.status = 'PENDING' AND w.queue_name = q.name AND w.partition_key = v_key
        LIMIT q.partition_concurrency) p;
    END IF;
    IF v_room > 0 THEN
      v_keys := v_keys || v_key;
      v_rooms := v_rooms || v_room;
      EXIT WHEN cardinality(v_keys) = p_limit;
    END IF;
  END LOOP;
  -- As many from each; more, if some have less.
  WHILE v_keys <> '{}' LOOP
    v_before := v_count;
    v_each := v_each + ceil((p_limit - v_count)::float8 / cardinality(v_keys))::integer;
    SELECT coalesce(array_agg(c.id ORDER BY c.turn, c.n), '{}'), count(*) INTO v_found, v_count FROM (
      SELECT h.id, h.turn, k.n
      FROM unnest(v_keys, v_rooms) WITH ORDINALITY k(key, room, n)
      CROSS JOIN LATERAL (
        SELECT w.id, row_number() OVER (ORDER BY w.rank, w.position) AS turn FROM pawl.workflow w
        WHERE w.status = 'ENQUEUED' AND w.queue_name = q.name AND w.partition_key = k.key
          AND w.name = ANY (p_names) AND (p_any_version OR w.version IS NULL
            OR (w.name, w.version) IN (SELECT r.name, r.version FROM unnest(p_names, p_versions) r(name, version)))
        ORDER BY w.rank, w.position LIMIT least(k.room, v_each)) h
      ORDER BY h.turn, k.n LIMIT p_limit) c;
    EXIT WHEN v_count = p_limit OR v_count = v_before;
  END LOOP;
  SELECT coalesce(array_agg(l.id ORDER BY f.n), '{}'), (array_agg(l.partition_key ORDER BY f.n DESC))[1] INTO v_found, v_last
  FROM unnest(v_found) WITH ORDINALITY f(id, n)
  CROSS JOIN LATERAL (
    SELECT w.id, w.partition_key FROM pawl.workflow w WHERE w.id = f.id AND (w.status = 'ENQUEUED') IS TRUE
    FOR NO KEY UPDATE SKIP LOCKED) l;
  -- Only where the caller holds the queue's row.
  IF q.partitioned THEN
    UPDATE pawl.queue t SET partition_after = coalesce(v_last, v_key)
    WHERE t.name = q.name AND t.partition_after <> coalesce(v_last, v_key);
  END IF;
  RETURN v_ids || v_found;
END $$;

-- Takes up to p_limit workflows out of the queues that a process serves (p_queues; NULL: all), beginning with the one
-- after p_first, so that each has its turn. b: how many of a queue it has in memory. Rows beside the workflows, by kind:
--   due    something without a queue is due now        again   there is more for this process
--   left   there is more, but not for this process     later   when a delay is over, or a rate limit allows the next one
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
  v_free integer;
  v_mine integer;
  v_promoted record;
  v_room record;
  v_ids text[];
  v_all text[] := '{}';
  v_again text[] := '{}';
  v_sure boolean := false;
  v_others text[] := '{}';
  v_later timestamptz;
  v_rated text[] := '{}';
  v_counts integer[] := '{}';
  v_locked text[];
  q pawl.queue;
BEGIN
  SELECT * INTO v_promoted FROM pawl.promote(500);
  IF v_promoted.due THEN
    kind := 'due';
    RETURN NEXT;
  END IF;
  IF v_promoted.more THEN
    kind := 'again';
    RETURN NEXT;
  END IF;
  v_now := pawl.clock();
  SELECT w.wake_at INTO v_later FROM pawl.workflow w WHERE w.status = 'DELAYED' AND w.wake_at > v_now ORDER BY w.wake_at LIMIT 1;
  SELECT array_agg(i.name) INTO v_queues FROM pawl.queue i
  WHERE NOT i.paused
    AND (SELECT true FROM pawl.workflow w WHERE w.status = 'ENQUEUED' AND w.queue_name = i.name LIMIT 1);
  IF v_queues IS NULL THEN
    IF v_later IS NOT NULL THEN
      kind := 'later'; deadline := pawl.epoch_ms(v_later);
      RETURN NEXT;
    END IF;
    RETURN;
  END IF;
  -- Only now: a lock is a write, and a call that finds nothing shall not have to wait for the disk.
  PERFORM 1 FROM pawl.executor e WHERE e.number = p_executor AND e.gone_at IS NULL FOR KEY SHARE SKIP LOCKED;
  IF NOT FOUND AND EXISTS (SELECT 1 FROM pawl.executor e WHERE e.number = p_executor) THEN
    RETURN;
  END IF;
  -- In the order of the names, whatever order they are served in.
  SELECT coalesce(array_agg(l.name), '{}') INTO v_locked FROM (
    SELECT i.name FROM pawl.queue i
    WHERE i.name = ANY (v_queues) AND (i.name = ANY (p_queues)) IS NOT FALSE AND (i.concurrency IS NOT NULL OR i.rate_limit IS NOT NULL OR i.partitioned
      OR i.partition_concurrency IS NOT NULL)
    ORDER BY i.name FOR NO KEY UPDATE) l;
  v_now := pawl.clock();
  SELECT ceil(p_limit::float8 / greatest(count(*), 1)) INTO v_share
  FROM unnest(v_queues) i(name) WHERE (i.name = ANY (p_queues)) IS NOT FALSE;

  FOR q IN SELECT * FROM pawl.queue i WHERE i.name = ANY (v_queues) AND NOT i.paused ORDER BY i.name <= p_first, i.name LOOP
    IF q.name <> ALL (p_queues) THEN
      v_others := v_others || q.name;
      CONTINUE;
    END IF;
    -- It got its first limit since, and others may be looking at it too.
    IF q.name <> ALL (v_locked) AND (q.concurrency IS NOT NULL OR q.rate_limit IS NOT NULL OR q.partitioned) THEN
      v_again := v_again || q.name;
      CONTINUE;
    END IF;
    SELECT NULL::integer AS room, NULL::timestamptz AS next_at INTO v_room;
    IF q.concurrency IS NOT NULL OR q.rate_limit IS NOT NULL THEN
      SELECT * INTO v_room FROM pawl.queue_room(q, v_now);
    END IF;
    v_free := q.worker_concurrency - coalesce(
      (SELECT b.count FROM unnest(b_queues, b_counts) b(name, count) WHERE b.name = q.name), 0);
    v_mine := greatest(0, least(v_left, v_share, v_free));
    v_ids := '{}';
    IF least(v_mine, v_room.room) > 0 THEN
      v_ids := pawl.queue_head(q, least(v_mine, v_room.room), p_names, p_versions, p_any_version);
    END IF;
    v_all := v_all || v_ids;
    v_left := v_left - cardinality(v_ids);
    IF cardinality(v_ids) < coalesce(v_room.room, v_mine + 1) THEN
      IF cardinality(v_ids) = v_mine AND v_mine > 0 AND (v_mine < v_free) IS NOT FALSE THEN
        v_again := v_again || q.name;
        v_sure := v_sure OR v_mine >= 100;
      ELSE
        v_others := v_others || q.name;
      END IF;
    END IF;
    IF q.rate_limit IS NOT NULL AND cardinality(v_ids) > 0 THEN
      v_rated := v_rated || q.name;
      v_counts := v_counts || cardinality(v_ids);
    END IF;
    IF q.rate_limit IS NOT NULL AND cardinality(v_ids) = v_room.room THEN
      v_later := least(v_later, coalesce(v_room.next_at, v_now + q.rate_period_ms * interval '1 millisecond'));
    END IF;
  END LOOP;

  IF v_all <> '{}' THEN
    -- Behind the ends that made room, which may have come after the look at the clock.
    v_now := pawl.clock();
    IF v_rated <> '{}' THEN
      PERFORM pawl.log_starts(v_rated, v_counts, v_now);
    END IF;
    UPDATE pawl.workflow w
    SET status = 'PENDING', owner = p_executor, fence = w.fence + 1, wake_at = NULL, updated_at = v_now, started_at = v_now,
      version = coalesce(w.version, (SELECT r.version FROM unnest(p_names, p_versions) r(name, version) WHERE r.name = w.name LIMIT 1)),
      deadline = coalesce(w.deadline, v_now + w.timeout_ms * interval '1 millisecond')
    WHERE w.id = ANY (v_all);
    RETURN QUERY
    SELECT w.id, pawl.claim_header(w, v_now), w.input, NULL::integer, 'workflow', NULL, NULL, NULL, NULL, NULL, NULL, NULL::integer,
      NULL::integer, NULL::float8, true
    FROM unnest(v_all) WITH ORDINALITY u(id, n) JOIN pawl.workflow w ON w.id = ANY (ARRAY[u.id]) ORDER BY u.n;
  END IF;
  workflow_id := NULL; header := NULL; input := NULL;
  FOREACH kind IN ARRAY '{again,left}'::text[] LOOP
    -- After so many there is more as a rule. To look would be to walk over what was taken last once more: 4 us for each.
    IF kind = 'again' AND v_sure THEN
      RETURN NEXT;
    ELSIF (SELECT true FROM unnest(CASE kind WHEN 'again' THEN v_again ELSE v_others END) u(name)
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
CREATE FUNCTION pawl.claim_header(w pawl.workflow, p_now timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT json_build_object('name', w.name, 'fence', w.fence, 'nonce', w.nonce, 'attempts', w.attempts,
    'deadline', pawl.epoch_ms(w.deadline), 'user', w.auth_user, 'roles', w.auth_roles, 'trace', w.trace_context,
    'queue', w.queue_name, 'startedAt', pawl.epoch_ms(w.started_at), 'rerun', w.started_at < p_now)::text
$$;
