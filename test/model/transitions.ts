// The table of transitions of ARCHITECTURE.md, as a trigger: an update that is not in it fails, and its schedule with it.

/** Parked and due are one here: only the clock tells them apart. ENQUEUED and DELAYED are states of their own. */
const STATE = `CREATE FUNCTION pawl.model_state(w pawl.workflow) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN w.status <> 'PENDING' THEN w.status WHEN w.owner IS NOT NULL THEN 'running'
    WHEN w.stranded THEN 'stranded' WHEN w.blocked IS NOT NULL THEN 'blocked' ELSE 'waiting' END
$$`;

const CHECK = `CREATE FUNCTION pawl.model_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_from text := pawl.model_state(OLD);
  v_to text := pawl.model_state(NEW);
  v_rise integer := NEW.fence - OLD.fence;
  v_resumed boolean := v_to = 'waiting' AND v_rise = 1 AND NEW.attempts = 0;
BEGIN
  IF (CASE v_from
    WHEN 'RESERVED' THEN v_to IN ('RESERVED', 'running', 'waiting')
    WHEN 'running' THEN CASE v_to
      WHEN 'running' THEN v_rise = 0 AND NEW.owner = OLD.owner
      WHEN 'waiting' THEN v_rise = 0
      WHEN 'blocked' THEN v_rise = 1
      ELSE v_to IN ('SUCCESS', 'CANCELLED') AND v_rise = 0 END
    WHEN 'waiting' THEN CASE v_to
      WHEN 'running' THEN v_rise = 1
      WHEN 'blocked' THEN v_rise = 1
      WHEN 'waiting' THEN v_rise = 0 OR v_resumed
      ELSE v_to IN ('stranded', 'SUCCESS', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') AND v_rise = 0 END
    WHEN 'stranded' THEN CASE v_to
      WHEN 'running' THEN v_rise = 1
      WHEN 'blocked' THEN v_rise = 1
      WHEN 'waiting' THEN v_rise = 0 OR v_resumed
      ELSE v_to IN ('stranded', 'SUCCESS', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') AND v_rise = 0 END
    WHEN 'blocked' THEN CASE v_to
      WHEN 'running' THEN v_rise = 1
      WHEN 'waiting' THEN v_resumed
      ELSE v_to IN ('blocked', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') AND v_rise = 0 END
    WHEN 'ENQUEUED' THEN CASE v_to
      WHEN 'running' THEN v_rise = 1
      WHEN 'waiting' THEN v_resumed
      ELSE v_to IN ('ENQUEUED', 'DELAYED', 'CANCELLED') AND v_rise = 0 END
    WHEN 'DELAYED' THEN CASE v_to
      WHEN 'ENQUEUED' THEN v_rise = 0 AND NEW.queue_name IS NOT NULL
      WHEN 'waiting' THEN v_rise = 0 AND NEW.queue_name IS NULL OR v_resumed
      ELSE v_to IN ('DELAYED', 'CANCELLED') AND v_rise = 0 END
    WHEN 'SUCCESS' THEN v_to = 'SUCCESS' AND v_rise = 0
    ELSE v_to = v_from AND v_rise = 0 OR v_resumed END)
  AND (NEW.attempts = OLD.attempts OR v_resumed OR v_from = 'RESERVED'
    OR v_from = 'running' AND v_to = 'waiting' AND NEW.attempts = OLD.attempts + 1)
  -- Only a resume leaves the queue: until the end, whoever is in it holds its place or its slot.
  AND (NEW.queue_name IS NOT DISTINCT FROM OLD.queue_name OR NEW.queue_name IS NULL AND v_resumed)
  AND (v_to NOT IN ('SUCCESS', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED', 'CANCELLED') OR NEW.blocked IS NULL AND NOT NEW.stranded)
  THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% went from % (owner %, fence %, attempts %) to % (%, %, %)',
    OLD.id, v_from, OLD.owner, OLD.fence, OLD.attempts, v_to, NEW.owner, NEW.fence, NEW.attempts;
END $$`;

const TRIGGER = `CREATE TRIGGER model_check BEFORE UPDATE ON pawl.workflow
  FOR EACH ROW EXECUTE FUNCTION pawl.model_check()`;

export const TRANSITIONS = [STATE, CHECK, TRIGGER];
