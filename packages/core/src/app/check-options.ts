// A misspelt option is an error, and not a workflow that does something else than its author meant.

import { ConfigurationError } from '../errors/index.ts';

/** `of`: the verb or setting that takes them. Undefined are none. */
export function checkOptions(
  of: string,
  given: object | null | undefined,
  known: Readonly<Record<string, true>>,
): void {
  if (given === null || (given !== undefined && typeof given !== 'object'))
    throw new ConfigurationError(`The options of ${of} must be an object, not ${String(given)}.`);
  for (const key in given) {
    if (!(key in known))
      throw new ConfigurationError(
        `${of} has no option "${key}". The options are ${Object.keys(known).join(', ')}.`,
      );
  }
}
