/**
 * The path of the Restate server. Its package holds 200 MB, too much for everybody who installs this repository, so it is
 * installed by who measures it (see the README).
 */
export function restateBinary(): string | undefined {
  return process.env['RESTATE_SERVER'] || undefined;
}
