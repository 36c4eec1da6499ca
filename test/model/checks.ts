// The last look: what is in the tables against what the oracle was told.
import type { Connections } from './connections.ts';
import { lifeOf, type Oracle, type Sent, valueOf, violated } from './oracle.ts';

interface StepRow {
  wf: string;
  id: number;
  fence: number;
  seq: number | null;
  kind: string;
  name: string | null;
  target: string | null;
  child: string | null;
  output: string | null;
  error: string | null;
  outcome: string | null;
  at: string | null;
}

interface MessageRow {
  destination: string;
  id: string;
  sequence: number;
  topic: string;
  body: string;
  by: number | null;
}

interface Tables {
  workflows: { id: string; nonce: string; status: string; output: string | null }[] | null;
  steps: StepRow[] | null;
  messages: MessageRow[] | null;
  events: { wf: string; key: string; seq: number; value: string }[] | null;
  entries: { wf: string; key: string; position: number; step: number; closed: boolean }[] | null;
}

const TABLES = `SELECT
  (SELECT json_agg(json_build_object('id', id, 'nonce', nonce, 'status', status, 'output', output)) FROM pawl.workflow)
    AS workflows,
  (SELECT json_agg(json_build_object('wf', workflow_id, 'id', step_id, 'fence', fence, 'seq', seq, 'kind', kind,
    'name', name, 'target', target, 'child', child_id, 'output', output, 'error', error, 'outcome', outcome,
    'at', completed_at) ORDER BY workflow_id, step_id) FROM pawl.step) AS steps,
  (SELECT json_agg(json_build_object('destination', destination, 'id', id, 'sequence', sequence, 'topic', topic,
    'body', body, 'by', consumed_by) ORDER BY sequence) FROM pawl.message) AS messages,
  (SELECT json_agg(json_build_object('wf', workflow_id, 'key', key, 'seq', seq, 'value', value)) FROM pawl.event)
    AS events,
  (SELECT json_agg(json_build_object('wf', workflow_id, 'key', key, 'position', position, 'step', step_id,
    'closed', closed) ORDER BY workflow_id, key, position) FROM pawl.stream) AS entries`;

export async function check(oracle: Oracle, eye: Connections['eye']): Promise<void> {
  const { rows } = await eye.query<Tables>(TABLES);
  const [tables] = rows;
  const workflows = tables?.workflows ?? [];
  const steps = tables?.steps ?? [];
  const messages = tables?.messages ?? [];
  for (const workflow of workflows) {
    const life = lifeOf(workflow.id, workflow.nonce);
    if (oracle.closed(life)) continue;
    const own = new Map(steps.filter((each) => each.wf === workflow.id).map((each) => [each.id, each]));
    for (const [stepID, value] of oracle.reported.get(life) ?? []) {
      const row = own.get(stepID);
      if (row === undefined || row.at === null)
        violated(`step ${stepID} of ${life} was reported and is lost`);
      if (valueOf(row) !== value)
        violated(`step ${stepID} of ${life} was reported as ${value} and is recorded as ${valueOf(row)}`);
    }
    const end = oracle.ends.get(life);
    if (end !== undefined && (workflow.status !== 'SUCCESS' || workflow.output !== end))
      violated(`${life} ended with ${end} and is ${workflow.status} with ${workflow.output}`);
    for (const claim of oracle.claims) {
      if (claim.life !== life) continue;
      for (const row of own.values()) {
        const then = claim.journal.get(row.id);
        if (row.fence < claim.fence && (then === undefined || then.completed !== (row.at !== null)))
          violated(
            `step ${row.id} of ${life} was written under fence ${row.fence} after a claim under ${claim.fence}`,
          );
      }
    }
  }
  wholes(oracle, tables as Tables);
  streams(tables as Tables);
  inbox(oracle, steps, messages);
}

/** Parts of one operation are there together. */
function wholes(oracle: Oracle, { workflows, steps, messages, events }: Tables): void {
  const forgotten = (id: string | null) => oracle.forgotten.some((each) => each.id === id);
  for (const step of steps ?? []) {
    if (step.at === null || step.error !== null || step.fence === 0) continue;
    const what = `step ${step.id} of ${step.wf}`;
    if (step.kind === 'setEvent') {
      if (
        !(events ?? []).some((each) => each.wf === step.wf && each.key === step.name && each.seq === step.seq)
      )
        violated(`${what} is there and its event is not`);
    } else if (step.kind === 'send' && !forgotten(step.target)) {
      const there = (each: MessageRow) => each.destination === step.target && each.id.endsWith(`:${step.id}`);
      if (!(messages ?? []).some(there)) violated(`${what} is there and its message is not`);
    } else if (step.kind === 'start' && !forgotten(step.child)) {
      if (!(workflows ?? []).some((each) => each.id === step.child && each.status !== 'RESERVED'))
        violated(`${what} is there and its child is not`);
    }
  }
  for (const event of events ?? []) {
    const own = (each: StepRow) =>
      each.wf === event.wf && each.kind === 'setEvent' && (each.fence === 0 || each.seq === event.seq);
    if (!(steps ?? []).some(own)) violated(`an event of ${event.wf} is there and its step is not`);
  }
}

/** Offsets have no gap and follow the order of the results, a step has its entry once, nothing is behind an end. */
function streams({ steps, entries }: Tables): void {
  const rows = new Map((steps ?? []).map((each) => [`${each.wf} ${each.id}`, each]));
  const written = new Set<string>();
  const last = new Map<string, { position: number; seq: number; closed: boolean }>();
  for (const { wf, key, position, step, closed } of entries ?? []) {
    const what = `entry ${position} of stream ${key} of ${wf}`;
    const row = rows.get(`${wf} ${step}`);
    if (
      row === undefined ||
      row.at === null ||
      row.error !== null ||
      row.name !== key ||
      row.kind !== kindOf(closed)
    )
      violated(`${what} is there and its step is not`);
    const before = last.get(`${wf} ${key}`) ?? { position: -1, seq: -1, closed: false };
    const seq = row.seq ?? -1;
    if (before.closed || position !== before.position + 1 || seq <= before.seq)
      violated(`${what} follows ${JSON.stringify(before)}`);
    last.set(`${wf} ${key}`, { position, seq, closed });
    if (written.has(`${wf} ${step}`)) violated(`${what} is there twice`);
    written.add(`${wf} ${step}`);
  }
  for (const row of rows.values()) {
    if (row.at === null || row.error !== null || written.has(`${row.wf} ${row.id}`)) continue;
    const isClosed = last.get(`${row.wf} ${row.name}`)?.closed === true;
    if (row.kind === 'writeStream' || (row.kind === 'closeStream' && !isClosed))
      violated(`step ${row.id} of ${row.wf} is there and its entry is not`);
  }
}

const kindOf = (closed: boolean): string => (closed ? 'closeStream' : 'writeStream');

/** Every message is there, is received once, and in order. */
function inbox(oracle: Oracle, steps: readonly StepRow[], messages: readonly MessageRow[]): void {
  const rows = new Map(messages.map((each) => [`${each.destination} ${each.id}`, each]));
  const forgottenAfter = (sent: Sent) =>
    oracle.forgotten.some((each) => each.id === sent.destination && each.done > sent.sent);
  const sents = [...oracle.messages].filter(([, sent]) => !forgottenAfter(sent));
  for (const [key, { topic, body }] of sents) {
    const row = rows.get(key);
    if (row === undefined) violated(`message ${key} was acknowledged and is lost`);
    if (row.topic !== topic || row.body !== body) violated(`message ${key} is not what was sent`);
    for (const [other, later] of sents) {
      const next = rows.get(other);
      const sent = oracle.messages.get(key) as Sent;
      if (next === undefined || later.destination !== sent.destination || sent.done >= later.sent) continue;
      if (next.sequence < row.sequence) violated(`message ${other} overtook ${key}`);
    }
  }
  const received = steps.filter((each) => each.kind === 'recv' && each.at !== null && each.outcome === null);
  for (const step of received) {
    if (step.fence === 0) continue;
    const own = messages.filter((each) => each.destination === step.wf && each.by === step.id);
    if (own.length !== 1 || own[0]?.body !== step.output || own[0].topic !== step.target)
      violated(
        `step ${step.id} of ${step.wf} received ${step.output}, and the inbox says ${JSON.stringify(own)}`,
      );
    for (const other of received) {
      if (other.wf !== step.wf || other.target !== step.target || other.fence === 0) continue;
      const later = messages.find((each) => each.destination === step.wf && each.by === other.id);
      if (later === undefined || (other.at as string) <= (step.at as string)) continue;
      if (later.sequence < (own[0]?.sequence ?? 0))
        violated(`${step.wf} received ${later.id} after ${own[0]?.id}, which came after it`);
    }
    for (const left of messages)
      if (left.destination === step.wf && left.topic === step.target && left.by === null)
        if (left.sequence < (own[0]?.sequence ?? 0)) violated(`${step.wf} passed over message ${left.id}`);
  }
  for (const row of messages) {
    if (row.by === null) continue;
    const taken = steps.find((each) => each.wf === row.destination && each.id === row.by);
    if (taken === undefined || taken.kind !== 'recv' || taken.output !== row.body)
      violated(`message ${row.id} of ${row.destination} was taken by step ${row.by}, which does not have it`);
  }
  for (const miss of oracle.misses) {
    const row = messages.find(
      (each) => each.destination === miss.id && each.topic === miss.topic && each.by === miss.stepID,
    );
    const sent = row && oracle.messages.get(`${row.destination} ${row.id}`);
    if (sent !== undefined && sent.done < miss.sent && !forgottenAfter(sent))
      violated(`${miss.life} looked for a message and did not see ${row?.id}, which was there`);
  }
}
