// What the steps of the README's sample about deploys do.
export async function mail(order: string): Promise<string> {
  return `mailed ${order}`;
}

export async function fax(order: string): Promise<string> {
  return `faxed ${order}`;
}
