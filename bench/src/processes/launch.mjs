// A process that comes up, says how many milliseconds that took from its first import on, and ends. Plain JavaScript: what
// runs TypeScript would take its time in each import.
const [what, databaseUrl] = process.argv.slice(2);
const beganMs = performance.now();
let close;
if (what === 'pg') {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  close = () => client.end();
} else {
  const { Pawl } = await import('@pawl/core');
  const pawl = new Pawl({ name: 'bench', database: databaseUrl });
  pawl.registerWorkflow(async (n) => n, { name: 'count' });
  await pawl.launch();
  close = () => pawl.shutdown();
}
process.send(performance.now() - beganMs);
await close();
process.disconnect();
