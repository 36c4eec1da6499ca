// Many workflows in no time: copies of one that the engine wrote, made in the database, so in exactly its form.

type Query = (text: string) => Promise<{ rows: unknown[] }>;

/** Copies workflow `from` with its steps `count` times, as `{prefix}-1`, `{prefix}-2` and so on, or as `idOf` says in SQL. */
export async function copyWorkflow(
  query: Query,
  {
    schema = 'pawl',
    from,
    prefix,
    idOf = `'${prefix}-' || n`,
    count,
  }: { schema?: string; from: string; prefix?: string; idOf?: string; count: number },
): Promise<void> {
  const copy = async (table: string, id: string) => {
    const { rows } = await query(
      `SELECT column_name AS name FROM information_schema.columns
       WHERE table_schema = '${schema}' AND table_name = '${table}' ORDER BY ordinal_position`,
    );
    const names = (rows as { name: string }[]).map(({ name }) => name);
    const values = names.map((name) =>
      name === id || name === 'nonce' ? idOf : name === 'position' ? 't.position + n' : `t.${name}`,
    );
    await query(
      `INSERT INTO ${schema}.${table} (${names.join(', ')})
       SELECT ${values.join(', ')} FROM ${schema}.${table} t, generate_series(1, ${count}) n
       WHERE t.${id} = '${from}'`,
    );
  };
  await copy('workflow', 'id');
  await copy('step', 'workflow_id');
}
