// An app whose workflows wait for what others say.
import { Pawl } from '@pawl/core';
import { pawlExpress } from '@pawl/express';
import express, { type Express } from 'express';

export const pawl = new Pawl();
export const app: Express = express();
export const http = pawlExpress(pawl, { scope: 'global', baseURL: 'https://shop.example' });

/** Waits for its payment. */
export const order = pawl.registerWorkflow(() => pawl.recv<unknown>('payment', 600), { name: 'order' });

export const deploy = pawl.registerWorkflow(
  async ({ repository, commit }: { repository: string; commit: string }) => `${repository} at ${commit}`,
  { name: 'deploy' },
);

/** What was mailed, and to whom. */
export const mails: { to: string; url: string }[] = [];

export async function mail(to: string, url: string): Promise<void> {
  mails.push({ to, url });
}
