// Owns what every command is given: where the database is, and how to answer.

import type { Where } from './connect.ts';
import type { Terminal } from './terminal.ts';

export interface Context {
  where: Where;
  /** One JSON document instead of tables. */
  json: boolean;
  terminal: Terminal;
}
