-- The durable state. `pawl.` stands for the configured schema; the migrator puts the quoted name in its place.
-- Payloads are text (jsonb rejects NUL, loses key order and costs more). Ids compare by bytes (collation "C").
-- No foreign keys: every row is written under the lock of its workflow row, and a check per row would cost
-- more than it could find.

-- The one clock. Everything that decides (leases, deadlines, wake-ups) asks it; a test may replace it.
CREATE FUNCTION pawl.clock() RETURNS timestamptz LANGUAGE sql VOLATILE
AS $$ SELECT clock_timestamp() $$;

CREATE FUNCTION pawl.epoch_ms(moment timestamptz) RETURNS float8 LANGUAGE sql STABLE
AS $$ SELECT (extract(epoch FROM moment) * 1000)::float8 $$;

-- One row per workflow: the lock that orders everything that concerns it, and its state.
--   status  RESERVED       nobody started it yet, but a message is kept for it or somebody waits for it
--           ENQUEUED, DELAYED, PENDING, SUCCESS, ERROR, CANCELLED, MAX_RECOVERY_ATTEMPTS_EXCEEDED
--   owner   the executor incarnation that runs it; NULL and PENDING means parked, until wake_at
--   fence   rises with every claim; a write that names an older one is refused
--   input, output, error   stay in the row while they are small; above half a kilobyte they lie in TOAST, which
--           neither listing nor an update of the state touches. A table of their own costs two more writes a run.
--   blocked why it cannot go on, until somebody who can takes it; stranded: because no living process serves its
--           name and version
--   rank, position   order in the queue; rank is the priority where the queue has priorities, position is drawn when it
--           comes in. A slot of the queue is held while it is PENDING.
--   nonce   made by the call that started it: a repeated start recognizes itself
--   debounce_key  calls of it replace the input as long as it is DELAYED (0013_debounce.sql)
--   trace_context  what tracing wants to have back with the next claim (telemetry/trace-context.ts); decides nothing
CREATE TABLE pawl.workflow (
  id              text COLLATE "C" PRIMARY KEY,
  name            text COLLATE "C" NOT NULL,
  status          text COLLATE "C" NOT NULL,
  owner           bigint,
  fence           integer NOT NULL DEFAULT 0,
  nonce           text COLLATE "C" NOT NULL,
  version         text COLLATE "C",
  attempts        integer NOT NULL DEFAULT 0,
  watched         boolean NOT NULL DEFAULT false,
  stranded        boolean NOT NULL DEFAULT false,
  priority        integer NOT NULL DEFAULT 0,
  created_at      timestamptz NOT NULL,
  updated_at      timestamptz NOT NULL,
  started_at      timestamptz,
  completed_at    timestamptz,
  wake_at         timestamptz,
  deadline        timestamptz,
  timeout_ms      float8,
  parent_id       text COLLATE "C",
  forked_from     text COLLATE "C",
  queue_name      text COLLATE "C",
  rank            integer NOT NULL DEFAULT 0,
  position        bigint,
  deduplication_id text COLLATE "C",
  partition_key   text COLLATE "C",
  debounce_key    text COLLATE "C",
  blocked         text,
  auth_user       text,
  auth_roles      text,
  attributes      jsonb,
  trace_context   text,
  input           text,
  output          text,
  error           text
) WITH (fillfactor = 85, toast_tuple_target = 512);

-- Keyset listing; retention walks it from the old end. "POSIX" is "C" by another name, so that nobody who asks for an id
-- is tempted to find it here: among a few rows that costs the same, and such a plan lives on.
CREATE INDEX workflow_created ON pawl.workflow (created_at, id COLLATE "POSIX");
-- The next ones are partial, and small as a rule; a statement that names its rows by their ids must not be tempted to
-- walk one of them, as a plan that was made while it was empty does. So it says `coalesce(owner, 0)`, which fits none:
-- with a million parked workflows a wake took 18 seconds otherwise, and a message 0.7.
-- What a dead executor left behind, and what a stopping one hands over.
CREATE INDEX workflow_owned ON pawl.workflow (owner) WHERE status = 'PENDING' AND owner IS NOT NULL;
-- Cancelled, and its owner has not yet noticed.
CREATE INDEX workflow_cancelled ON pawl.workflow (owner) WHERE status = 'CANCELLED' AND owner IS NOT NULL;
-- What may be claimed, when.
CREATE INDEX workflow_ready ON pawl.workflow (wake_at) WHERE status = 'PENDING' AND owner IS NULL AND blocked IS NULL;
-- What waits for another deploy, by who could go on with it: ticks do not walk over it.
CREATE INDEX workflow_blocked ON pawl.workflow (stranded, name, version)
  WHERE status = 'PENDING' AND owner IS NULL AND blocked IS NOT NULL;
CREATE INDEX workflow_deadline ON pawl.workflow (deadline)
  WHERE deadline IS NOT NULL AND status IN ('PENDING', 'ENQUEUED', 'DELAYED');
-- What waits in a queue, in order; what comes into it (or becomes due) when its delay is over; who holds its slots.
CREATE INDEX workflow_queued ON pawl.workflow (queue_name, partition_key, rank, position) WHERE status = 'ENQUEUED';
CREATE INDEX workflow_delayed ON pawl.workflow (wake_at) WHERE status = 'DELAYED';
CREATE INDEX workflow_slot ON pawl.workflow (queue_name, partition_key)
  WHERE status = 'PENDING' AND queue_name IS NOT NULL;
CREATE UNIQUE INDEX workflow_deduplication ON pawl.workflow (queue_name, deduplication_id)
  WHERE deduplication_id IS NOT NULL AND status IN ('ENQUEUED', 'DELAYED', 'PENDING');
CREATE INDEX workflow_debounce ON pawl.workflow (name, debounce_key, status) WHERE debounce_key IS NOT NULL;
CREATE INDEX workflow_parent ON pawl.workflow (parent_id) WHERE parent_id IS NOT NULL;

-- The journal. completed_at IS NULL: an attempt that began, or a wait with its deadline.
--   seq     the order in which the activation delivered results; replay delivers in the same order
--   target  what the operation is about (topic, awaited or started workflow): compared on replay
--   outcome how an awaited workflow ended, or 'timeout'
CREATE TABLE pawl.step (
  workflow_id     text COLLATE "C" NOT NULL,
  step_id         integer NOT NULL,
  fence           integer NOT NULL,
  seq             integer,
  attempts        integer,
  started_at      timestamptz,
  completed_at    timestamptz,
  deadline        timestamptz,
  kind            text COLLATE "C" NOT NULL,
  name            text,
  target          text COLLATE "C",
  outcome         text COLLATE "C",
  child_id        text COLLATE "C",
  output          text,
  error           text,
  PRIMARY KEY (workflow_id, step_id)
);

-- Waits and attempts under way, without walking a long journal.
CREATE INDEX step_pending ON pawl.step (workflow_id) WHERE completed_at IS NULL;

-- The inbox. The sender makes the id, so that a repeated insert recognizes itself; the sequence is drawn
-- under the destination's lock, so that its order is the order of the commits. With an error, `recv` rejects.
CREATE TABLE pawl.message (
  destination     text COLLATE "C" NOT NULL,
  id              text COLLATE "C" NOT NULL,
  sequence        bigint GENERATED ALWAYS AS IDENTITY,
  topic           text COLLATE "C" NOT NULL,
  consumed_by     integer,
  created_at      timestamptz NOT NULL,
  sender          text COLLATE "C",
  trace_context   text,
  body            text,
  error           text,
  PRIMARY KEY (destination, id)
);
CREATE INDEX message_waiting ON pawl.message (destination, topic, sequence) WHERE consumed_by IS NULL;

-- Every value that was set; the one with the highest seq is the event's value.
CREATE TABLE pawl.event (
  workflow_id     text COLLATE "C" NOT NULL,
  key             text COLLATE "C" NOT NULL,
  seq             integer NOT NULL,
  created_at      timestamptz NOT NULL,
  value           text,
  PRIMARY KEY (workflow_id, key, seq)
);
-- A stream reads on from the last event that its client saw.
CREATE INDEX event_order ON pawl.event (workflow_id, seq);

-- Who waits for a result (kind 'r', key ''), an event (kind 'e'), or follows: what comes of a stream and the end (kind
-- 's'), with key '' any event and the end. A workflow, or an executor on behalf of callers. `fired` is set under the
-- target's lock; `wake` then passes it on under the waiter's.
CREATE TABLE pawl.waiter (
  target          text COLLATE "C" NOT NULL,
  kind            text COLLATE "C" NOT NULL,
  key             text COLLATE "C" NOT NULL,
  workflow_id     text COLLATE "C" NOT NULL DEFAULT '',
  executor        bigint NOT NULL DEFAULT 0,
  fired           boolean NOT NULL DEFAULT false,
  created_at      timestamptz NOT NULL DEFAULT pawl.clock(),
  PRIMARY KEY (target, kind, key, workflow_id, executor)
);
CREATE INDEX waiter_fired ON pawl.waiter (fired) WHERE fired;
CREATE INDEX waiter_workflow ON pawl.waiter (workflow_id) WHERE workflow_id <> '';

-- A capability URL that a workflow made. Of its token only the hash is here.
--   answer  what was answered first, as 'resolved:{digest}' or 'rejected:{digest}'; it stands
CREATE TABLE pawl.hook (
  token_hash      text COLLATE "C" PRIMARY KEY,
  workflow_id     text COLLATE "C" NOT NULL,
  topic           text COLLATE "C" NOT NULL,
  created_at      timestamptz NOT NULL,
  expires_at      timestamptz,
  answer          text COLLATE "C"
);
CREATE INDEX hook_workflow ON pawl.hook (workflow_id);

-- One row per launch. It claims what has one of these names, each with its version or (any_version) with any.
-- `armed` counts lease renewals after a doubt, -1: it stopped as it should; `locked` says that
-- liveness may be read from a session advisory lock (class, number).
CREATE TABLE pawl.executor (
  number              bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  executor_id         text NOT NULL,
  application_version text,
  host                text,
  pid                 integer,
  names               text[] NOT NULL DEFAULT '{}',
  versions            text[] NOT NULL DEFAULT '{}',
  any_version         boolean NOT NULL DEFAULT false,
  locked              boolean NOT NULL DEFAULT false,
  armed               integer NOT NULL DEFAULT 0,
  started_at          timestamptz NOT NULL,
  lease_until         timestamptz NOT NULL,
  gone_at             timestamptz
);
