// What a launch says when the database refuses it: what the database said, and what to do about it.

import { ConfigurationError, PawlError } from '../errors/index.ts';
import { CommitUnknownError } from '../store/database.ts';
import { classifyFault, errorCode } from '../store/faults.ts';
import { unavailable } from '../store/unavailable.ts';

/** SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const NO_LOGIN = /^28/;
const NO_DATABASE = '3D000';
const NO_PRIVILEGE = '42501';

/** As it came if it is none of the database's. */
export function explainLaunch(error: unknown, schema: string): unknown {
  if (error instanceof PawlError) return error;
  // A migration that may have been committed is found, or not, by the next launch.
  if (error instanceof CommitUnknownError || classifyFault(error) === 'connection') return unavailable(error);
  const code = errorCode(error) ?? '';
  const { message } = error as Error;
  const refused = (what: string) => new ConfigurationError(what, { cause: error });
  if (NO_LOGIN.test(code))
    return refused(
      `The database refuses the login (${message}). Check user and password in \`database\`, and that the server lets this host in.`,
    );
  if (code === NO_DATABASE)
    return refused(`There is no such database (${message}). Create it, or correct its name in \`database\`.`);
  if (code === NO_PRIVILEGE)
    return refused(
      `The database's role may not do what a launch needs (${message}). To migrate, it must be allowed to create a schema; ` +
        'or let `npx pawl migrate` do that as another role, launch with `migrate: false`, and grant this one USAGE on ' +
        `the schema "${schema}", SELECT, INSERT, UPDATE and DELETE on its tables, and USAGE on its sequences.`,
    );
  return error;
}
