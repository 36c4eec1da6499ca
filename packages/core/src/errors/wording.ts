// Owns how ids and names appear in messages.
// Never throws.

/** A name as it appears in a message: quoted, and with line breaks and other oddities escaped. */
export function quote(name: string): string {
  return JSON.stringify(name);
}

/** ` of workflow "id"`, or nothing where the id is not known. */
export function ofWorkflow(workflowID: string | undefined): string {
  return workflowID === undefined ? '' : ` of workflow ${quote(workflowID)}`;
}
