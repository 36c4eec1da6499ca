-- Streams: values that a workflow appends under a key, each in the commit of the step that wrote it.

-- One row a value. Offsets count from 0 without a gap, since they are given under the workflow's lock; in the order of
-- the steps, since a workflow's writes commit in the order of their calls.
--   position  the offset, which SQL has as a word of its own
--   closed    no value, but the end of the stream: the last row that it can have
CREATE TABLE pawl.stream (
  workflow_id     text COLLATE "C" NOT NULL,
  key             text COLLATE "C" NOT NULL,
  position        integer NOT NULL,
  step_id         integer NOT NULL,
  closed          boolean NOT NULL,
  created_at      timestamptz NOT NULL,
  value           text,
  PRIMARY KEY (workflow_id, key, position)
);

-- Appends, before the steps are recorded: what follows the end of its stream is answered 'closed', and its step not
-- written. A step that is there already was written with its value, by this flush or an earlier run; that is looked up
-- by the step, so that streams need no index for it. To close twice is to close.
CREATE FUNCTION pawl.flush_streams(
  p_careful boolean, p_bad int[],
  x_op int[], x_wf text[], x_key text[], x_step int[], x_value text[], x_closed boolean[]
) RETURNS SETOF pawl.flush_result LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := pawl.clock();
BEGIN
  RETURN QUERY
  WITH last AS (
    SELECT d.wf, d.key, i.position, i.closed
    FROM (SELECT DISTINCT r.wf, r.key FROM unnest(x_wf, x_key) r(wf, key)) d
    LEFT JOIN LATERAL (
      SELECT s.position, s.closed FROM pawl.stream s WHERE s.workflow_id = d.wf AND s.key = d.key
      ORDER BY s.position DESC LIMIT 1) i ON true
  ), given AS (
    SELECT u.*, l.position AS last, coalesce(l.closed, false) OR coalesce(bool_or(u.closed) OVER (
        PARTITION BY u.wf, u.key ORDER BY u.op ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), false) AS late
    FROM unnest(x_op, x_wf, x_key, x_step, x_value, x_closed) u(op, wf, key, step, value, closed)
    JOIN last l ON l.wf = u.wf AND l.key = u.key
    -- Not EXISTS, for which all steps may be hashed.
    WHERE u.op <> ALL (p_bad) AND (NOT p_careful OR (
      SELECT true FROM pawl.step s WHERE s.workflow_id = u.wf AND s.step_id = u.step AND s.completed_at IS NOT NULL
      LIMIT 1) IS NULL)
  ), written AS (
    INSERT INTO pawl.stream (workflow_id, key, position, step_id, closed, created_at, value)
    SELECT g.wf, g.key, coalesce(g.last, -1) + row_number() OVER (PARTITION BY g.wf, g.key ORDER BY g.op),
      g.step, g.closed, v_now, g.value
    FROM given g WHERE NOT g.late
  )
  SELECT g.op, 'closed', NULL::text, NULL::text, NULL::text, NULL::float8 FROM given g WHERE g.late AND NOT g.closed;
END $$;
