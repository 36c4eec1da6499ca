// What tests of any package may import from here.
export { copyWorkflow } from './copies.ts';
export { createDatabase, serverURL, type TestDatabase } from './database.ts';
export { createEmbedded } from './embedded.ts';
export { noPgBouncer, type PgBouncer, startPgBouncer } from './pgbouncer.ts';
export { type PostgresServer, startPostgres } from './postgres.ts';
