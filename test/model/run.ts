// One run of one workflow in a simulated process: which operations it may write next, and what their answers mean.
import type { ClaimedWorkflow } from '../../packages/core/src/store/lifecycle.ts';
import type { Answer, Operation, StepPart } from '../../packages/core/src/store/operations.ts';
import { lifeOf, type Span, valueOf, violated } from './oracle.ts';
import type { Process } from './process.ts';
import type { Offer } from './tasks.ts';
import { type Call, NAME } from './world.ts';

interface CallState {
  readonly stepID: number;
  readonly stage: number;
  readonly call: Call;
  state: 'todo' | 'busy' | 'waiting' | 'done';
  /** It has a row that is not completed. */
  begun: boolean;
  /** The first try was refused for a reason that is recorded instead. */
  refusal: string | undefined;
  /** Poked while it was looking. */
  again: boolean;
  deadline: number | null;
}

type Part = Omit<Operation, 'fenced'>;

interface Written {
  operation: Operation;
  /** The process has the answer. */
  answered(answer: Answer | undefined): void;
  /** It is committed. */
  seen(answer: Answer | undefined, span: Span): void;
}

type RunStart = Pick<ClaimedWorkflow, 'workflowID' | 'nonce' | 'fence' | 'journal'>;

const STEP: StepPart = {
  kind: 'step',
  name: null,
  target: null,
  output: null,
  error: null,
  childID: null,
  outcome: null,
  attempts: null,
  begun: false,
  durationMs: 1,
};

export class Run {
  readonly id: string;
  readonly nonce: string;
  readonly fence: number;
  readonly life: string;
  readonly calls: CallState[] = [];
  over = false;
  #busy = 0;
  #seq = 0;
  #wantsToPark = false;

  readonly process: Process;

  constructor(process: Process, { workflowID, nonce, fence, journal }: RunStart) {
    this.process = process;
    this.id = workflowID;
    this.nonce = nonce;
    this.fence = fence;
    this.life = lifeOf(workflowID, nonce);
    const rows = new Map(journal.map((row) => [row.stepID, row]));
    process.shared.world.program(workflowID).forEach((calls, stage) => {
      for (const call of calls) {
        const stepID = this.calls.length;
        const row = rows.get(stepID);
        if (row !== undefined && row.kind !== call.kind)
          violated(`step ${stepID} of ${this.life} is a ${row.kind}, and was called as a ${call.kind}`);
        this.calls.push({
          stepID,
          stage,
          call,
          state: row?.completed === true ? 'done' : 'todo',
          begun: row !== undefined && !row.completed,
          refusal: undefined,
          again: false,
          deadline: null,
        });
      }
    });
    for (const row of journal) this.#seq = Math.max(this.#seq, row.seq ?? 0);
  }

  /** This process has nothing more to do with it. */
  leave(): void {
    this.over = true;
    if (this.process.runs.get(this.id) === this) this.process.runs.delete(this.id);
  }

  poke(call: CallState): void {
    if (call.state === 'waiting') call.state = 'todo';
    else if (call.state === 'busy') call.again = true;
  }

  pokeAll(): void {
    for (const call of this.calls) this.poke(call);
  }

  /** Nothing but waits is left. */
  get parkable(): boolean {
    const left = this.#left();
    return this.#busy === 0 && left.length > 0 && left.every((each) => each.state === 'waiting');
  }

  get waits(): readonly CallState[] {
    return this.calls.filter((each) => each.state === 'waiting');
  }

  park(): void {
    this.#wantsToPark = true;
  }

  /** Operations that may be written now. */
  ready(): Offer[] {
    if (this.over) return [];
    const left = this.#left();
    if (left.length === 0) return this.#busy === 0 ? [this.#end()] : [];
    if (this.#wantsToPark && this.parkable) return [this.#park(left)];
    return left.filter((each) => each.state === 'todo').map((each) => this.#call(each));
  }

  #left(): CallState[] {
    const stage = this.calls.find((each) => each.state !== 'done')?.stage;
    return this.calls.filter((each) => each.stage === stage && each.state !== 'done');
  }

  #offer(label: string, keys: readonly string[], call: CallState | undefined, write: () => Written): Offer {
    return {
      keys: [this.id, ...keys],
      make: () => {
        this.#busy++;
        if (call !== undefined) {
          call.state = 'busy';
          call.again = false;
        }
        const { operation, seen, answered } = write();
        const { oracle } = this.process.shared;
        return {
          operation,
          label: `${this.id}${label}`,
          seen: (answer, span) => {
            if (answer === undefined || answer.outcome === 'value' || answer.outcome === 'wait')
              oracle.wrote(this.life, this.id, this.fence, span, `${this.id}${label}`);
            seen(answer, span);
          },
          settle: (answer) => {
            this.#busy--;
            if (!this.over) answered(answer);
          },
        };
      },
    };
  }

  #fenced(stepID: number | null, seq: number | null, keep = false): Pick<Required<Operation>, 'fenced'> {
    return { fenced: { workflowID: this.id, fence: this.fence, stepID, seq, keep } };
  }

  #end(): Offer {
    const { oracle } = this.process.shared;
    const output = `${this.id} by ${this.process.number} under ${this.fence}`;
    return this.#offer(' ends', [], undefined, () => ({
      operation: { ...this.#fenced(null, null), end: { status: 'SUCCESS', output, error: null } },
      answered: () => this.leave(),
      seen: (answer, { done }) => {
        if (answer === undefined || answer.outcome === 'written')
          oracle.ended(this.life, this.id, output, done);
      },
    }));
  }

  #park(left: readonly CallState[]): Offer {
    const { oracle } = this.process.shared;
    const park = left.flatMap(({ call }) =>
      call.kind === 'getEvent' || call.kind === 'getResult' ? [call.of] : [],
    );
    return this.#offer(' parks', [], undefined, () => ({
      operation: { ...this.#fenced(null, null), park },
      answered: (answer) => {
        this.#wantsToPark = false;
        if (answer?.outcome === 'ready') this.pokeAll();
        else this.leave();
      },
      seen: (answer, { sent }) => {
        if (answer === undefined) for (const { call } of left) oracle.parked(this.life, call, sent);
      },
    }));
  }

  #call(state: CallState): Offer {
    const { call, stepID } = state;
    const attempt = call.kind === 'step' && call.attempts && !state.begun;
    const label = ` ${stepID} ${call.kind}${attempt ? ' begins' : ''}`;
    return this.#offer(label, call.kind === 'send' ? [call.to] : [], state, () => {
      const part = this.#part(state, attempt);
      const seq = attempt ? null : ++this.#seq;
      return {
        operation: { ...this.#fenced(stepID, seq, call.kind === 'step' && !attempt), ...part },
        answered: (answer) => this.#answered(state, attempt, part, answer),
        seen: (answer, span) => {
          if (!attempt) this.#seen(state, part, answer, span);
        },
      };
    });
  }

  /** What the oracle learns, whoever gets the answer. */
  #seen({ call, stepID }: CallState, part: Part, answer: Answer | undefined, span: Span): void {
    const { oracle } = this.process.shared;
    const { step, message, event, start } = part;
    const outcome = answer?.outcome ?? 'written';
    if (step !== undefined && ['written', 'started', 'kept'].includes(outcome)) {
      oracle.report(this.life, stepID, valueOf(step));
      if (message !== undefined) oracle.message(message, span);
      if (event !== undefined) oracle.event(this.id, event.key, event.value as string, span);
      if (start !== undefined) oracle.started(start.workflowID, span);
    }
    if (answer === undefined) return;
    if (outcome === 'adopted' || outcome === 'value' || (outcome === 'written' && step === undefined))
      oracle.report(this.life, stepID, valueOf({ ...answer, outcome: answer.detail }));
    if (call.kind === 'getEvent') oracle.looked(this.life, stepID, call.of, call.key, answer, span);
    if (call.kind === 'recv' && outcome === 'wait')
      oracle.missedMessage(this.life, this.id, stepID, call.topic, span.sent);
  }

  #answered(state: CallState, attempt: boolean, part: Part, answer: Answer | undefined): void {
    switch (answer?.outcome) {
      case undefined:
      case 'written':
      case 'started':
        if (attempt) {
          state.begun = true;
          state.state = 'todo';
        } else state.state = 'done';
        break;
      case 'adopted':
      case 'value':
        state.state = 'done';
        break;
      case 'wait':
        state.begun = true;
        state.deadline = answer.at;
        state.state = state.again ? 'todo' : 'waiting';
        break;
      case 'missing':
      case 'set':
      case 'closed':
      case 'exists':
        state.refusal = answer.outcome;
        state.state = 'todo';
        break;
      default:
        this.leave();
    }
    if (part.start !== undefined && answer === undefined) this.process.begin(part.start);
  }

  #part(state: CallState, attempt: boolean): Part {
    const { call, stepID, refusal, begun } = state;
    const { shared, number } = this.process;
    const value = `${this.id}/${stepID} by ${number} under ${this.fence}`;
    const step = (part: Partial<StepPart>): Pick<Required<Operation>, 'step'> => ({
      step: { ...STEP, kind: call.kind, error: refusal ?? null, ...part },
    });
    switch (call.kind) {
      case 'step':
        return step({ name: 's', output: attempt ? null : value, attempts: 1, begun });
      case 'setEvent':
        if (refusal !== undefined) return step({ name: call.key });
        return { ...step({ name: call.key }), event: { key: call.key, value, once: call.once } };
      case 'writeStream':
      case 'closeStream': {
        if (refusal !== undefined) return step({ name: call.key });
        const closed = call.kind === 'closeStream';
        return {
          ...step({ name: call.key }),
          entry: { key: call.key, value: closed ? null : value, closed },
        };
      }
      case 'send': {
        if (refusal !== undefined) return step({ target: call.to });
        const id = `${this.nonce}:${stepID}`;
        const message = {
          destination: call.to,
          id,
          topic: call.topic,
          body: id,
          sender: this.id,
          park: call.park,
        };
        shared.oracle.sending(message, shared.stamp());
        return { ...step({ target: call.to }), message };
      }
      case 'start': {
        const childID = `${this.id}-${stepID}`;
        // It is ours, from a run that was cut off before its record: it is taken.
        if (refusal !== undefined) return step({ name: NAME, childID, error: null });
        return { ...step({ name: NAME, childID }), start: shared.startPart(childID, { parent: this.id }) };
      }
      case 'recv':
        return { wait: { kind: 'recv', name: null, target: call.topic, timeoutMs: call.timeoutMs } };
      case 'getEvent':
        return { wait: { kind: 'getEvent', name: call.key, target: call.of, timeoutMs: call.timeoutMs } };
      case 'getResult':
        return { wait: { kind: 'getResult', name: null, target: call.of, timeoutMs: call.timeoutMs } };
      case 'sleep':
        return { wait: { kind: 'sleep', name: null, target: null, timeoutMs: call.timeoutMs } };
    }
  }
}
