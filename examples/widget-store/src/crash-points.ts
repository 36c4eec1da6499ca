// Every place where the page can make the shop die.

/** `during`: the work is done, but not yet recorded. A transaction rolls back; a step is tried again. */
export type CrashMoment = 'before' | 'during' | 'after';

export interface CrashPoint {
  step: string;
  when: CrashMoment;
}

const around: CrashMoment[] = ['before', 'after'];
const within: CrashMoment[] = ['before', 'during', 'after'];

export const crashPoints = [
  { workflow: 'checkout', step: 'reserve', moments: within },
  { workflow: 'checkout', step: 'create order', moments: within },
  { workflow: 'checkout', step: 'create payment', moments: within },
  { workflow: 'checkout', step: 'publish payment', moments: around },
  { workflow: 'checkout', step: 'wait for payment', moments: around },
  { workflow: 'checkout', step: 'mark paid', moments: within },
  { workflow: 'checkout', step: 'cancel order', moments: within },
  { workflow: 'checkout', step: 'start dispatch', moments: around },
  { workflow: 'dispatch', step: 'sleep', moments: around },
  { workflow: 'dispatch', step: 'pick', moments: within },
  { workflow: 'dispatch', step: 'pack', moments: within },
  { workflow: 'dispatch', step: 'ship', moments: within },
  { workflow: 'dispatch', step: 'deliver', moments: within },
  { workflow: 'dispatch', step: 'publish progress', moments: around },
];
