-- Schedules: a row is a schedule that some process has registered in its code, and the turn to fire it.

--   crontab, timezone  when it ticks; which instants those are is found in JavaScript (src/cron)
--   mode       'skip-missed', or 'catch-up': every tick in its order, however late
--   jitter_ms  a run begins up to so much later than its tick, at random
--   timeout_ms of each run
--   revision   rises with every change: who fires says which one the next tick was computed from
--   next_at    the first tick that is not fired; NULL: there is none any more
--   last_at    the last one that was
CREATE TABLE pawl.schedule (
  name            text COLLATE "C" PRIMARY KEY,
  workflow_name   text COLLATE "C" NOT NULL,
  crontab         text NOT NULL,
  timezone        text NOT NULL,
  mode            text COLLATE "C" NOT NULL,
  queue_name      text COLLATE "C",
  jitter_ms       float8 NOT NULL,
  timeout_ms      float8,
  paused          boolean NOT NULL DEFAULT false,
  revision        integer NOT NULL DEFAULT 1,
  next_at         timestamptz,
  last_at         timestamptz,
  created_at      timestamptz NOT NULL,
  updated_at      timestamptz NOT NULL
);

-- Writes the schedules that a process has registered; the last one to write wins. s_next: the first tick from now. It
-- counts where there was none, where the times have changed, and where ticks are skipped that nobody alive could fire:
-- no other process that lives was there when the next one came, and serves the workflow. Names queues that do not exist;
-- then nothing is written.
CREATE FUNCTION pawl.register_schedules(
  p_executor bigint, p_class integer, p_alone boolean, s_name text[], s_workflow text[], s_crontab text[],
  s_timezone text[], s_mode text[], s_queue text[], s_jitter float8[], s_timeout float8[], s_next float8[]
) RETURNS TABLE (unknown_queue text) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
BEGIN
  RETURN QUERY SELECT u.queue FROM unnest(s_queue) u(queue)
  WHERE u.queue IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pawl.queue q WHERE q.name = u.queue);
  IF FOUND THEN
    RETURN;
  END IF;
  INSERT INTO pawl.schedule (name, workflow_name, crontab, timezone, mode, queue_name, jitter_ms, timeout_ms, next_at,
    created_at, updated_at)
  SELECT u.name, u.workflow, u.crontab, u.timezone, u.mode, u.queue, u.jitter, u.timeout, to_timestamp(u.next / 1000),
    v_now, v_now
  FROM unnest(s_name, s_workflow, s_crontab, s_timezone, s_mode, s_queue, s_jitter, s_timeout, s_next)
    u(name, workflow, crontab, timezone, mode, queue, jitter, timeout, next)
  ORDER BY u.name
  ON CONFLICT (name) DO NOTHING;
  PERFORM 1 FROM pawl.schedule s WHERE s.name = ANY (s_name) ORDER BY s.name FOR UPDATE;
  UPDATE pawl.schedule s
  SET workflow_name = n.workflow, crontab = n.crontab, timezone = n.timezone, mode = n.mode, queue_name = n.queue,
    jitter_ms = n.jitter, timeout_ms = n.timeout, revision = s.revision + 1, updated_at = v_now,
    next_at = CASE WHEN n.anew THEN to_timestamp(n.next / 1000) ELSE s.next_at END
  FROM (
    SELECT u.*, o.crontab <> u.crontab OR o.timezone <> u.timezone
      OR u.mode = 'skip-missed' AND o.next_at <= v_now AND (p_alone OR NOT EXISTS (
        SELECT 1 FROM pawl.executor e
        WHERE e.number <> p_executor AND e.gone_at IS NULL AND e.started_at <= o.next_at AND e.lease_until > v_now
          AND u.workflow = ANY (e.names)
          AND NOT (e.locked AND pg_try_advisory_xact_lock_shared(p_class, e.number::integer)))) AS anew
    FROM unnest(s_name, s_workflow, s_crontab, s_timezone, s_mode, s_queue, s_jitter, s_timeout, s_next)
      u(name, workflow, crontab, timezone, mode, queue, jitter, timeout, next)
    JOIN pawl.schedule o ON o.name = u.name
  ) n
  WHERE s.name = n.name AND (n.anew
    OR (s.workflow_name, s.mode, s.queue_name, s.jitter_ms, s.timeout_ms)
      IS DISTINCT FROM (n.workflow, n.mode, n.queue, n.jitter, n.timeout));
END $$;

-- Starts runs of a schedule: in its queue, after a delay, or at once. What has one of the ids is that run. In a queue with
-- partitions the schedule is one. What the queue refuses is an error: no tick is lost by that.
CREATE FUNCTION pawl.start_scheduled(s pawl.schedule, r_id text[], r_input text[]) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_partition text := (SELECT s.name FROM pawl.queue q WHERE q.name = s.queue_name AND q.partitioned);
  v_refused text;
BEGIN
  IF coalesce(cardinality(r_id), 0) = 0 THEN
    RETURN;
  END IF;
  SELECT f.outcome INTO v_refused
  FROM (
    SELECT array_agg(u.n::integer) AS op, array_agg(gen_random_uuid()::text) AS nonce,
      array_agg(1 + floor(random() * 1073741823)::integer) AS fence, array_agg(s.workflow_name) AS name,
      array_agg(NULL::text) AS nothing, array_agg(NULL::integer) AS priority, array_agg(s.queue_name) AS queue,
      array_agg(v_partition) AS partition, array_agg(nullif(random() * s.jitter_ms, 0)) AS delay,
      array_agg(CASE WHEN s.timeout_ms IS NOT NULL THEN json_build_object('timeout', s.timeout_ms)::text END) AS extra
    FROM unnest(r_id) WITH ORDINALITY u(id, n)
  ) r
  CROSS JOIN LATERAL pawl.flush_enqueues('{}', r.op, r_id, r.nonce, r.fence, r.name, r.nothing, r_input, r.queue, r.priority,
    r.partition, r.nothing, r.delay, r.extra) f
  WHERE f.outcome <> 'exists' LIMIT 1;
  IF v_refused IS NOT NULL THEN
    RAISE EXCEPTION 'queue "%" takes no run of schedule "%": %', s.queue_name, s.name, v_refused USING ERRCODE = '22023';
  END IF;
END $$;

-- Fires schedules: starts the runs of their ticks, and sets the next tick of each. One that was changed, paused or fired
-- since its next tick was computed (s_revision), or that somebody holds, is left alone. Names the others.
CREATE FUNCTION pawl.fire_schedules(
  s_name text[], s_revision integer[], s_last float8[], s_next float8[], r_schedule text[], r_id text[], r_input text[]
) RETURNS TABLE (fired text) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  s pawl.schedule;
  v_index integer;
BEGIN
  FOR s IN
    SELECT l.* FROM pawl.schedule l WHERE l.name = ANY (s_name) ORDER BY l.name FOR UPDATE SKIP LOCKED
  LOOP
    v_index := array_position(s_name, s.name);
    CONTINUE WHEN s.paused OR s.revision <> s_revision[v_index];
    PERFORM pawl.start_scheduled(s, array_agg(r.id), array_agg(r.input))
    FROM unnest(r_schedule, r_id, r_input) r(schedule, id, input) WHERE r.schedule = s.name;
    UPDATE pawl.schedule l
    SET revision = s.revision + 1, updated_at = pawl.clock(), next_at = to_timestamp(s_next[v_index] / 1000),
      last_at = coalesce(to_timestamp(s_last[v_index] / 1000), s.last_at)
    WHERE l.name = s.name;
    fired := s.name;
    RETURN NEXT;
  END LOOP;
END $$;

-- Runs of a schedule that somebody asks for, now; paused or not. False: there is no such schedule.
CREATE FUNCTION pawl.start_from_schedule(p_name text, r_id text[], r_input text[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  s pawl.schedule;
BEGIN
  SELECT * INTO s FROM pawl.schedule l WHERE l.name = p_name;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  s.jitter_ms := 0;
  PERFORM pawl.start_scheduled(s, r_id, r_input);
  RETURN true;
END $$;

-- Pauses a schedule, or lets it go on. With p_next, the first tick from now by its crontab and time zone, the ticks since
-- are skipped, if they are to be. Answers false if there is no such schedule, or its times have changed since.
CREATE FUNCTION pawl.pause_schedule(p_name text, p_paused boolean, p_revision integer, p_next float8) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  s pawl.schedule;
BEGIN
  SELECT * INTO s FROM pawl.schedule l WHERE l.name = p_name FOR UPDATE;
  IF NOT FOUND OR s.revision <> p_revision THEN
    RETURN false;
  END IF;
  IF s.paused <> p_paused THEN
    UPDATE pawl.schedule l
    SET paused = p_paused, revision = s.revision + 1, updated_at = pawl.clock(),
      next_at = CASE WHEN s.mode = 'skip-missed' AND NOT p_paused THEN to_timestamp(p_next / 1000) ELSE s.next_at END
    WHERE l.name = p_name;
  END IF;
  RETURN true;
END $$;
