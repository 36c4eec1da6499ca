-- What an Idempotency-Key stands for. The id is a hash (scope, method, path, key); the key itself is stored
-- nowhere. A row goes from running to done, or to failed and back to running with the next attempt.
--   running  a request is at work. lease_until NULL: the answer comes from a workflow, whose recovery is not our
--            affair, so that any number of requests may wait for it; else whoever comes after the lease takes over
--   done     the answer. status NULL: it could not be kept (a stream, too large), and is never made again
--   failed   the attempt ended without an answer worth keeping; the fingerprint stays
--   attempt    counts the claims and is the fence: what an earlier claim wants to record is refused
--   owner      made by the claiming request: a claim whose answer was lost recognizes itself
--   generation when this life of the key began (ms); part of the derived workflow id, so that a key that is new
--              again after its retention does not meet the old workflow, even when this row was swept
CREATE TABLE pawl.http_request (
  id            text COLLATE "C" PRIMARY KEY,
  state         text COLLATE "C" NOT NULL,
  fingerprint   text COLLATE "C" NOT NULL,
  owner         text COLLATE "C" NOT NULL,
  generation    bigint NOT NULL,
  attempt       integer NOT NULL,
  status        integer,
  created_at    timestamptz NOT NULL,
  lease_until   timestamptz,
  completed_at  timestamptz,
  expires_at    timestamptz,
  headers       text,
  body          bytea
) WITH (fillfactor = 85);
CREATE INDEX http_request_expired ON pawl.http_request (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX http_request_running ON pawl.http_request (created_at) WHERE state = 'running';

CREATE TYPE pawl.http_outcome AS (
  item         integer,
  outcome      text,
  attempt      integer,
  generation   float8,
  status       integer,
  headers      text,
  body         bytea,
  completed_at float8
);

-- Equality of two fingerprints in a time that tells nothing of where they differ: hashed with a nonce first.
CREATE FUNCTION pawl.http_same(p_one text, p_other text, p_nonce text) RETURNS boolean LANGUAGE sql IMMUTABLE
AS $$ SELECT sha256(convert_to(p_nonce || p_one, 'UTF8')) = sha256(convert_to(p_nonce || p_other, 'UTF8')) $$;

-- Claims keys. Arguments are parallel arrays in the order of the ids, so that two calls do not wait for each
-- other in a circle (unless a row is deleted meanwhile: then one is told 40P01, and comes again). Outcomes: new, retry (after a failed attempt), takeover (after a lease), running, done,
-- mismatch. A done row does not change before it expires: it is read without a lock, and a replay writes nothing.
-- What is new is inserted by one statement; the rest is looked at one by one.
CREATE FUNCTION pawl.http_claim(
  p_ids text[], p_fingerprints text[], p_owners text[], p_leases float8[]
) RETURNS SETOF pawl.http_outcome LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now  timestamptz := pawl.clock();
  v_generation bigint := floor(pawl.epoch_ms(v_now));
  v_mine text[];
  v_row  pawl.http_request;
  v_out  pawl.http_outcome;
  v_lease timestamptz;
BEGIN
  -- The pool has the role's defaults, but what a caller is told is to be on disk.
  PERFORM set_config('synchronous_commit', 'on', true);
  WITH mine AS (
    INSERT INTO pawl.http_request (id, state, fingerprint, owner, generation, attempt, created_at, lease_until)
    SELECT u.id, 'running', u.fingerprint, u.owner, v_generation, 1, v_now, v_now + u.lease * interval '1 millisecond'
    FROM unnest(p_ids, p_fingerprints, p_owners, p_leases) u(id, fingerprint, owner, lease)
    ON CONFLICT (id) DO NOTHING RETURNING owner
  ) SELECT array_agg(m.owner) INTO v_mine FROM mine m;
  IF cardinality(v_mine) = cardinality(p_ids) THEN
    RETURN QUERY SELECT i - 1, 'new', 1, v_generation::float8, NULL::integer, NULL, NULL::bytea, NULL::float8
    FROM generate_subscripts(p_ids, 1) i;
    RETURN;
  END IF;
  FOR i IN 1 .. cardinality(p_ids) LOOP
    v_out := NULL;
    v_out.item := i - 1;
    IF p_owners[i] = ANY (v_mine) THEN
      v_out.outcome := 'new';
      v_out.attempt := 1;
      v_out.generation := v_generation;
      RETURN NEXT v_out;
      CONTINUE;
    END IF;

    v_lease := v_now + p_leases[i] * interval '1 millisecond';
    SELECT * INTO v_row FROM pawl.http_request r WHERE r.id = p_ids[i] AND r.state = 'done';
    IF NOT FOUND OR v_row.expires_at <= v_now THEN
      LOOP
        SELECT * INTO v_row FROM pawl.http_request r WHERE r.id = p_ids[i] FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
        -- Given back, or swept, since.
        INSERT INTO pawl.http_request (id, state, fingerprint, owner, generation, attempt, created_at, lease_until)
        VALUES (p_ids[i], 'running', p_fingerprints[i], p_owners[i], v_generation, 1, v_now, v_lease)
        ON CONFLICT (id) DO NOTHING RETURNING * INTO v_row;
        EXIT WHEN FOUND;
      END LOOP;

      IF v_row.expires_at <= v_now THEN
        UPDATE pawl.http_request r
        SET state = 'running', fingerprint = p_fingerprints[i], owner = p_owners[i], attempt = 1,
          generation = greatest(v_generation, r.generation + 1), created_at = v_now,
          lease_until = v_lease, completed_at = NULL, expires_at = NULL, status = NULL, headers = NULL, body = NULL
        WHERE r.id = p_ids[i] RETURNING * INTO v_row;
        v_out.outcome := 'new';
      ELSIF NOT pawl.http_same(v_row.fingerprint, p_fingerprints[i], p_owners[i]) THEN
        v_out.outcome := 'mismatch';
      ELSIF v_row.state = 'running' AND v_row.owner = p_owners[i] THEN
        v_out.outcome := 'new';
      ELSIF v_row.state = 'failed' OR (v_row.state = 'running' AND v_row.lease_until <= v_now) THEN
        v_out.outcome := CASE v_row.state WHEN 'failed' THEN 'retry' ELSE 'takeover' END;
        UPDATE pawl.http_request r
        SET state = 'running', owner = p_owners[i], attempt = r.attempt + 1, lease_until = v_lease,
          completed_at = NULL, expires_at = NULL
        WHERE r.id = p_ids[i] RETURNING * INTO v_row;
      END IF;
    END IF;

    IF v_out.outcome IS NULL THEN
      v_out.outcome := CASE
        WHEN NOT pawl.http_same(v_row.fingerprint, p_fingerprints[i], p_owners[i]) THEN 'mismatch'
        ELSE v_row.state END;
    END IF;
    v_out.attempt := v_row.attempt;
    v_out.generation := v_row.generation;
    IF v_out.outcome = 'done' THEN
      v_out.status := v_row.status;
      v_out.headers := v_row.headers;
      v_out.body := v_row.body;
      v_out.completed_at := pawl.epoch_ms(v_row.completed_at);
    END IF;
    RETURN NEXT v_out;
  END LOOP;
END $$;

-- What a key stands for, without a claim; no row if for nothing. For requests that would be refused if it were new.
CREATE FUNCTION pawl.http_look(p_id text, p_fingerprint text, p_nonce text) RETURNS SETOF pawl.http_outcome
LANGUAGE sql VOLATILE SET enable_seqscan = off AS $$
  SELECT 0, CASE WHEN NOT pawl.http_same(r.fingerprint, p_fingerprint, p_nonce) THEN 'mismatch' ELSE r.state END,
    r.attempt, r.generation::float8, r.status, r.headers, r.body, pawl.epoch_ms(r.completed_at)
  FROM pawl.http_request r WHERE r.id = p_id AND (r.expires_at IS NULL OR r.expires_at > pawl.clock())
$$;

-- Renews leases. Answers the ids that are no longer this owner's.
CREATE FUNCTION pawl.http_renew(p_ids text[], p_owners text[], p_leases float8[]) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz := pawl.clock();
BEGIN
  FOR i IN 1 .. cardinality(p_ids) LOOP
    UPDATE pawl.http_request r SET lease_until = v_now + p_leases[i] * interval '1 millisecond'
    WHERE r.id = p_ids[i] AND r.owner = p_owners[i] AND r.state = 'running';
    IF NOT FOUND THEN
      RETURN NEXT p_ids[i];
    END IF;
  END LOOP;
END $$;

-- Ends attempts, in the order of the ids. p_states: done; failed; forgotten (nothing happened: the key is free
-- again). Under a lease only the latest owner may; without one the first answer stands, and whoever comes later
-- is given that one. Outcomes: stored, superseded, done (with the answer that stands), missing.
-- The bodies come as one value, cut by p_lengths: drivers send that one as it is, an array of them as hex.
CREATE FUNCTION pawl.http_settle(
  p_ids text[], p_owners text[], p_generations float8[], p_attempts integer[], p_states text[], p_retentions float8[],
  p_status integer[], p_headers text[], p_lengths integer[], p_bodies bytea
) RETURNS SETOF pawl.http_outcome LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz;
  v_stored integer[];
  v_row pawl.http_request;
  v_out pawl.http_outcome;
  v_at  integer := 1;
BEGIN
  PERFORM set_config('synchronous_commit', 'on', true);
  -- All of them, in their order, before any is written: joined requests of two processes may end each other's attempts.
  PERFORM 1 FROM pawl.http_request r WHERE r.id = ANY (p_ids) ORDER BY r.id FOR NO KEY UPDATE;
  v_now := pawl.clock();
  IF cardinality(p_ids) > 2 THEN
    -- As a rule nothing has happened to them. (`coalesce`: not to walk over all that is running.)
    WITH stored AS (
      UPDATE pawl.http_request r
      SET state = u.state, completed_at = v_now, expires_at = v_now + u.retention * interval '1 millisecond',
        status = u.status, headers = u.headers, body = substring(p_bodies FROM u.at FOR u.length)
      FROM (
        SELECT t.*, 1 + coalesce(sum(t.length) OVER (
          ORDER BY t.item ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::integer AS at
        FROM unnest(p_ids, p_owners, p_generations, p_attempts, p_states, p_retentions, p_status, p_headers, p_lengths)
          WITH ORDINALITY t(id, owner, generation, attempt, state, retention, status, headers, length, item)
      ) u
      WHERE r.id = ANY (ARRAY[u.id]) AND coalesce(r.state, '') = 'running' AND r.owner = u.owner AND r.attempt = u.attempt
        AND r.generation = u.generation AND u.state IN ('done', 'failed')
      RETURNING u.item::integer
    ) SELECT array_agg(s.item) INTO v_stored FROM stored s;
    IF cardinality(v_stored) = cardinality(p_ids) THEN
      RETURN QUERY SELECT i - 1, 'stored', NULL::integer, NULL::float8, NULL::integer, NULL, NULL::bytea, NULL::float8
      FROM generate_subscripts(p_ids, 1) i;
      RETURN;
    END IF;
  END IF;
  FOR i IN 1 .. cardinality(p_ids) LOOP
    v_out := NULL;
    v_out.item := i - 1;
    IF i = ANY (v_stored) THEN
      v_out.outcome := 'stored';
      v_at := v_at + coalesce(p_lengths[i], 0);
      RETURN NEXT v_out;
      CONTINUE;
    END IF;
    -- Locked above, unless it was made since.
    SELECT * INTO v_row FROM pawl.http_request r WHERE r.id = p_ids[i] FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      v_out.outcome := 'missing';
    ELSIF v_row.generation <> p_generations[i] THEN
      v_out.outcome := 'superseded';
    ELSIF v_row.state <> 'running' AND v_row.owner = p_owners[i] AND v_row.attempt = p_attempts[i] THEN
      v_out.outcome := 'stored';
    ELSIF v_row.state = 'done' AND v_row.lease_until IS NULL THEN
      v_out.outcome := 'done';
    ELSIF v_row.attempt <> p_attempts[i] OR v_row.state <> 'running'
      OR (v_row.owner <> p_owners[i] AND (v_row.lease_until IS NOT NULL OR p_states[i] <> 'done')) THEN
      v_out.outcome := 'superseded';
    ELSIF p_states[i] = 'forgotten' AND v_row.attempt = 1 THEN
      DELETE FROM pawl.http_request r WHERE r.id = p_ids[i];
      v_out.outcome := 'stored';
    ELSE
      UPDATE pawl.http_request r
      SET state = CASE p_states[i] WHEN 'done' THEN 'done' ELSE 'failed' END, owner = p_owners[i],
        completed_at = v_now, expires_at = v_now + p_retentions[i] * interval '1 millisecond',
        status = p_status[i], headers = p_headers[i], body = substring(p_bodies FROM v_at FOR p_lengths[i])
      WHERE r.id = p_ids[i];
      v_out.outcome := 'stored';
    END IF;
    v_at := v_at + coalesce(p_lengths[i], 0);
    IF v_out.outcome = 'done' THEN
      v_out.status := v_row.status;
      v_out.headers := v_row.headers;
      v_out.body := v_row.body;
      v_out.completed_at := pawl.epoch_ms(v_row.completed_at);
    END IF;
    RETURN NEXT v_out;
  END LOOP;
END $$;

-- Answers that are recorded by the flush that ends their workflows: both are there or neither is. 'unrecorded' where the
-- claim is not as it was; a try before this one may have recorded it (http_settle says what stands). In the order of the
-- ids, after all workflows: nothing that holds one of these rows waits for a workflow.
CREATE FUNCTION pawl.flush_answers(
  p_now timestamptz, k_op int[], k_id text[], k_owner text[], k_generation float8[], k_attempt int[], k_retention float8[],
  k_status int[], k_headers text[], k_body text[]
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_recorded integer[];
BEGIN
  WITH recorded AS (
    UPDATE pawl.http_request r
    SET state = 'done', completed_at = p_now, expires_at = p_now + u.retention * interval '1 millisecond',
      status = u.status, headers = u.headers, body = decode(u.body, 'hex')
    FROM (
      SELECT * FROM unnest(k_op, k_id, k_owner, k_generation, k_attempt, k_retention, k_status, k_headers, k_body)
        t(op, id, owner, generation, attempt, retention, status, headers, body)
      ORDER BY t.id COLLATE "C"
    ) u
    WHERE r.id = ANY (ARRAY[u.id]) AND coalesce(r.state, '') = 'running' AND r.owner = u.owner AND r.attempt = u.attempt
      AND r.generation = u.generation
    RETURNING u.op
  ) SELECT array_agg(s.op) INTO v_recorded FROM recorded s;
  IF cardinality(v_recorded) = cardinality(k_op) THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT u.op, 'unrecorded', NULL::text, NULL::text, NULL::text, NULL::float8
  FROM unnest(k_op) u(op) WHERE u.op <> ALL (coalesce(v_recorded, '{}'));
END $$;

-- Deletes what has outlived its retention, some rows at a time; and, if asked to (p_abandoned, ms), what runs no more and
-- nobody has asked for since: its process died, or its workflow ended after the client had been told to look elsewhere.
CREATE FUNCTION pawl.http_sweep(p_limit integer, p_abandoned float8) RETURNS integer LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off AS $$
DECLARE
  v_now   timestamptz := pawl.clock();
  v_old   timestamptz := v_now - p_abandoned * interval '1 millisecond';
  v_count integer;
  v_more  integer;
BEGIN
  DELETE FROM pawl.http_request d USING (
    SELECT r.id FROM pawl.http_request r WHERE r.expires_at <= v_now
    ORDER BY r.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED
  ) o WHERE d.id = ANY (ARRAY[o.id]);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_old IS NULL THEN
    RETURN v_count;
  END IF;
  DELETE FROM pawl.http_request d USING (
    SELECT r.id FROM pawl.http_request r
    WHERE r.state = 'running' AND r.created_at <= v_old AND CASE
      WHEN r.lease_until IS NOT NULL THEN r.lease_until <= v_old
      ELSE NOT EXISTS (
        SELECT FROM pawl.workflow w WHERE w.id = 'http-' || r.id || '-' || r.generation
          AND (w.completed_at IS NULL OR w.completed_at > v_old)
      ) END
    ORDER BY r.created_at LIMIT p_limit FOR UPDATE OF r SKIP LOCKED
  ) o WHERE d.id = ANY (ARRAY[o.id]);
  GET DIAGNOSTICS v_more = ROW_COUNT;
  RETURN v_count + v_more;
END $$;
