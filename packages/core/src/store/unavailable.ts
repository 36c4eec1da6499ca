// What a request says that met no database: the error of the catalog, with what the database or the network said in it.

import { DatabaseUnavailableError } from '../errors/index.ts';
import { errorCode } from './faults.ts';

const TOO_MANY_CONNECTIONS = '53300';

export function unavailable(error: unknown): DatabaseUnavailableError {
  const said = (error as Error).message || 'connection refused';
  return new DatabaseUnavailableError(
    errorCode(error) === TOO_MANY_CONNECTIONS
      ? `The database has no connection left for this process (${said}), which needs \`poolSize\` and four more. ` +
          'Lower `poolSize`, allow more connections, or put a pooler in front; then repeat the call.'
      : `The database does not answer (${said}). Check that it runs and that the address is right; then repeat the call.`,
    { cause: error },
  );
}
