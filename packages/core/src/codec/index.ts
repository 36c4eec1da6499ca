// Owns the list of what this folder offers. Never holds code.
export { canonicalJSON, sameInput } from './canonical.ts';
export { type Codec, createCodec } from './codec.ts';
export { type Duration, secondsToMilliseconds, toMilliseconds } from './duration.ts';
export type { ErrorClass } from './error-registry.ts';
export { checkName, checkWorkflowID, childWorkflowID, scheduledWorkflowID } from './identifiers.ts';
export type { Serializer } from './serializer.ts';
export { newID } from './new-id.ts';
export { shown } from './shown.ts';
